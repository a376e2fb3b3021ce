"""A history told in lines: one sentence for each record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.events import (
    Called,
    Combined,
    Event,
    FaultHealed,
    FaultHealing,
    FaultProven,
    FaultRequested,
    FaultUnproven,
    HostDown,
    HostUp,
    Inferred,
    LoadFinished,
    LoadStarted,
    LogRead,
    Note,
    RequestDone,
    RequestLogged,
    RunFinished,
    RunStarted,
    Seen,
    ServiceExited,
    ServiceReady,
    ServiceStarting,
    StepJudged,
    StepStarted,
)
from reports.lanes import how_it_ended
from reports.model import Line

if TYPE_CHECKING:
    from harness.history import Record

SHOWN = 4000
"""At most so many lines make a report's timeline."""

BAD_REQUESTS = 300
"""At most so many requests that did not succeed get a line of their own in the timeline."""

Told = tuple[str, str, str]
"""Source, text, tone."""


class Story:
    """Tells records; what a view showed is told as what changed since the last look at it."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._before: dict[int, Any] = {}
        self._value: dict[int, Any] = {}
        self._repeats: set[int] = set()
        last: dict[tuple[str, str], tuple[Any, Any]] = {}
        for record in records:
            event = record.event
            if isinstance(event, Seen):
                where = (event.source, event.view)
                value, outcome = last.get(where, (None, None))
                now = value if event.same or not event.ok else event.value
                self._before[record.n], self._value[record.n] = value, now
                if outcome == (event.ok, event.error) and now == value:
                    self._repeats.add(record.n)
                last[where] = (now, (event.ok, event.error))

    def tells(self, record: Record) -> bool:
        """Whether it belongs in a timeline: no look that showed the same again, no request that succeeded."""
        event = record.event
        if isinstance(event, Seen):
            return record.n not in self._repeats
        return not (
            isinstance(event, RequestLogged | Combined | Inferred)
            or (isinstance(event, RequestDone) and event.outcome == "ok")
        )

    def line(self, record: Record, about: str = "") -> Line:
        """One record as a line; `about` is a text whose names say which entries of a view matter."""
        event = record.event
        if isinstance(event, Seen):
            source, text, tone = self._seen(record.n, event, about)
        else:
            source, text, tone = TELL[type(event)](event)
        return Line(
            t=record.t, source=source, text=text, tone=tone, kind=event.kind, n=record.n, step=record.step
        )

    def _seen(self, n: int, event: Seen, about: str) -> Told:
        if not event.ok:
            return event.source, f"{event.view}: no answer: {event.error}", "bad"
        before, now = _entries(self._before[n]), _entries(self._value[n])
        changes = _changes(before, now)
        if changes:
            return event.source, f"{event.view}: {'; '.join(changes)}", ""
        named = [name for name in now if name in about.replace(",", " ").split()]
        if named:
            return event.source, f"{event.view}: still lists {_some(named)}", ""
        what = f"unchanged ({_some(now)})" if now else _plain(self._value[n])
        return event.source, f"{event.view}: {what}", ""


def timeline_of(records: Sequence[Record], story: Story) -> tuple[tuple[Line, ...], int]:
    """The lines of a timeline, and how many were left out."""
    told = [record for record in records if story.tells(record)]
    bad = [record.n for record in told if isinstance(record.event, RequestDone)]
    too_many = set(bad[BAD_REQUESTS:])
    shown = [record for record in told if record.n not in too_many][:SHOWN]
    return tuple(story.line(record) for record in shown), len(told) - len(shown)


def _entries(value: Any) -> dict[str, Any]:
    """A view's entries by name; empty for a view that lists nothing."""
    if not isinstance(value, Mapping):
        return {}
    if isinstance(value.get("models"), list):
        return {str(model): None for model in value["models"]}
    if all(isinstance(entry, Mapping) for entry in value.values()):
        return {
            str(name): (entry.get("healthy"), entry.get("url"), entry.get("models"))
            for name, entry in value.items()
        }
    return {}


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    gone = [name for name in before if name not in now]
    new = [name for name in now if name not in before]
    changed = [name for name in now if name in before and now[name] != before[name]]
    told = ((gone, "gone"), (new, "listed"), (changed, "changed"))
    return [f"{_some(names)} {what}" for names, what in told if names]


def _some(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _plain(value: Any) -> str:
    """A value that is no list of entries: a status and its body, or JSON."""
    if value in ({}, {"models": []}, []):
        return "lists nothing"
    if isinstance(value, Mapping) and "status" in value:
        body = value.get("json") or value.get("body") or ""
        return (
            f"HTTP {value['status']} {_short(body if isinstance(body, str) else json.dumps(body))}".rstrip()
        )
    return _short(json.dumps(value, default=str))


def _short(value: Any, most: int = 160) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _receipt(receipt: Sequence[str]) -> str:
    return f" ({'; '.join(receipt)})" if receipt else ""


def _request(e: RequestDone) -> Told:
    answer = " ".join(
        part
        for part in (
            f"HTTP {e.status}" if e.status else _without_status(e),
            f"from {e.served_by}" if e.served_by else "",
            f"for {e.model}" if e.model else "",
        )
        if part
    )
    what = e.error or ("ok" if e.outcome == "ok" else f"outcome {e.outcome}")
    text = f"request {e.id}: {_short(what)} - {answer}, {(e.ended - e.started) * 1000:.0f} ms"
    return e.load, text, "" if e.outcome == "ok" else "bad"


def _without_status(e: RequestDone) -> str:
    return e.method if e.url.startswith("grpc:") else "no status"


def _inferred(e: Inferred) -> Told:
    tries = f" after {'; '.join(e.tries)}" if e.tries else ""
    outputs = ", ".join(f"{n} {t['datatype']}{t['shape']}" for answer in e.answers for n, t in answer.items())
    return e.load, f"call {e.id}: {e.code}{tries}, answered {_short(outputs or e.error or 'nothing')}", ""


def _combined(e: Combined) -> Told:
    parts = ", ".join(f"{node['client_id']} {node['outcome']}" for node in e.nodes) or "nobody"
    return e.load, f"question {e.id}, {e.method or 'no answer'}: {_short(parts)}", ""


def _load(e: LoadStarted) -> Told:
    amount = f"{e.requests} requests" if e.requests else f"{e.seconds or 0:g} s of requests"
    pace = f", {e.rate:g}/s" if e.rate else f", {e.concurrency} at a time"
    return e.load, f"{e.what} load began: {amount}{pace} at {e.url}", ""


def _load_end(e: LoadFinished) -> Told:
    unseen = f", {e.unknown} unknown" if e.unknown else ""
    text = f"load ended: {e.sent} sent, {e.ok} ok, {e.failed} failed{unseen}"
    return e.load, text, "bad" if e.failed or e.unknown else "good"


def _exited(e: ServiceExited) -> Told:
    last = f"; last words: {_short(e.last_lines[-1])}" if e.last_lines and not e.expected else ""
    return e.service, f"{how_it_ended(e)}{last}", "" if e.expected else "bad"


def _called(e: Called) -> Told:
    answer = e.error or f"HTTP {e.status}"
    return "call", f"{e.method} {e.url}: {_short(answer)}, {e.took * 1000:.0f} ms", "bad" if e.error else ""


def _read(e: LogRead) -> Told:
    return e.service, e.error or f"log read to its end, {e.lines} lines", "bad" if e.error else ""


_TONES = {"pass": "good", "fail": "bad", "unknown": "bad"}

TELL: dict[type[Event], Callable[[Any], Told]] = {
    RunStarted: lambda e: ("run", f"{e.scenario} on {e.hosts_kind} hosts", ""),
    RunFinished: lambda e: ("run", f"ended: {e.cut_short or e.status}", "bad" if e.cut_short else ""),
    Note: lambda e: ("note", e.text, ""),
    HostUp: lambda e: (e.host, f"up at {e.address}", ""),
    HostDown: lambda e: (e.host, "taken away", ""),
    ServiceStarting: lambda e: (e.service, f"starting on {e.host}", ""),
    ServiceReady: lambda e: (e.service, f"ready after {e.after:.2f} s: {e.by}", "good"),
    ServiceExited: _exited,
    StepStarted: lambda e: ("step", " :: ".join(e.path), ""),
    StepJudged: lambda e: ("step", f"{e.status}: {e.path[-1]}: {e.message}", _TONES.get(e.status, "")),
    FaultRequested: lambda e: ("fault", f"{e.what} {e.target}: requested", "fault"),
    FaultProven: lambda e: (
        "fault",
        f"{e.what} {e.target}: proven at +{e.after:.3f} s{_receipt(e.receipt)}",
        "fault",
    ),
    FaultHealing: lambda e: ("fault", f"{e.what} {e.target}: healing", "fault"),
    FaultHealed: lambda e: (
        "fault",
        f"{e.what} {e.target}: healed at +{e.after:.3f} s{_receipt(e.receipt)}",
        "fault",
    ),
    FaultUnproven: lambda e: ("fault", f"{e.what} {e.target}: no receipt ({e.phase}): {e.reason}", "bad"),
    LoadStarted: _load,
    LoadFinished: _load_end,
    RequestDone: _request,
    Combined: _combined,
    Inferred: _inferred,
    Called: _called,
    RequestLogged: lambda e: (e.service, f"logged request {e.request} ({e.log}:{e.line})", ""),
    LogRead: _read,
}
