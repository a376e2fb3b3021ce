"""Why a step is not a pass: the few lines of the history that tell, and the symptom they add up to. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from harness.checks.words import clock_time
from harness.diagnosis import not_reached, wrong_addresses
from harness.events import (
    FaultHealed,
    FaultProven,
    FaultRequested,
    FaultUnproven,
    LoadFinished,
    Note,
    RequestDone,
    Seen,
    ServiceExited,
    ServiceReady,
)
from harness.history import of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.evidence import Facts
    from harness.history import Record
    from harness.verdict import Verdict

LINES = 14
"""How many lines of the history an explanation shows at most."""
NO_BACKEND = (502, 503, 504)
"""What a router answers that finds or reaches nobody."""
REQUESTS = 3
"""How many requests speak for all that the verdict rests on."""


def line(t: float, who: str, what: str) -> str:
    """One line of an explanation."""
    return f"{clock_time(t)}  {who:<12} {what}"


def _exited(event: ServiceExited) -> tuple[str, str]:
    how = f"killed by {event.signal}" if event.signal else f"exit code {event.code}"
    expected = " (on purpose)" if event.expected else f"; last lines: {' | '.join(event.last_lines[-3:])}"
    return event.service, f"ended, {how}{expected}"


def _request(event: RequestDone) -> tuple[str, str]:
    answered = f"answered by {event.served_by}" if event.served_by else "answered by nobody known"
    return "request", f"{event.id} {event.model}: {event.error or event.status or event.outcome}, {answered}"


_SAY: Mapping[type[Any], Callable[[Any], tuple[str, str]]] = {
    FaultProven: lambda e: (
        "fault",
        f"{e.what} {e.target}: proven at +{e.after:.3f} s ({'; '.join(e.receipt[:2])})",
    ),
    FaultHealed: lambda e: ("fault", f"{e.what} {e.target}: healed after {e.after:.3f} s"),
    FaultUnproven: lambda e: ("fault", f"{e.what} {e.target}: no receipt for its {e.phase}: {e.reason}"),
    LoadFinished: lambda e: (
        "load",
        f"{e.load}: {e.sent} sent, {e.ok} ok, {e.failed} failed, {e.unknown} unknown",
    ),
    Note: lambda e: ("note", e.text),
    RequestDone: _request,
    ServiceExited: _exited,
    ServiceReady: lambda e: (e.service, f"ready after {e.after:.2f} s"),
}


def say(record: Record) -> str | None:
    """A record as one line, or None for what speaks only by its changes (observations) or not at all."""
    tell = _SAY.get(type(record.event))
    return line(record.t, *tell(record.event)) if tell else None


def changes(records: Sequence[Record], since: float) -> list[tuple[float, str]]:
    """What observers saw change from `since` on: names that came, went, or changed; answers that stopped."""
    known: dict[tuple[str, str], Any] = {}
    failing: set[tuple[str, str]] = set()
    found: list[tuple[float, str]] = []
    for record, seen in of(records, Seen):
        key = (seen.source, seen.view)
        told: Iterable[str] = ()
        if not seen.ok and key not in failing:
            told = (seen.error,)
        elif seen.ok and not seen.same:
            told = _differences(known.get(key), seen.value) if key in known else ()
            known[key] = seen.value
        (failing.discard if seen.ok else failing.add)(key)
        if record.t >= since:
            found.extend((record.t, line(record.t, seen.source or "http", text)) for text in told)
    return found


def _differences(old: Any, new: Any) -> list[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return []
    if "models" in new and isinstance(new["models"], list):
        old, new = ({f"model {m}": True for m in side.get("models", [])} for side in (old, new))
    told = [f"{name} gone" for name in old if name not in new]
    told += [f"{name} new" for name in new if name not in old]
    both = [
        name for name in new if name in old and isinstance(new[name], dict) and isinstance(old[name], dict)
    ]
    for name in both:
        for key in ("healthy", "models", "url"):
            if old[name].get(key) != new[name].get(key):
                told.append(f"{name} {key}: {old[name].get(key)} -> {new[name].get(key)}")
    return told


def symptoms(records: Sequence[Record], facts: Facts) -> list[str]:
    """Well-known causes that the latest observations show."""
    registries = facts.speaking("service_registry")
    latest: dict[str, Any] = {}
    for _, seen in of(records, Seen):
        if seen.view == "services" and seen.ok and not seen.same:
            latest[seen.source] = seen.value
    wrong = [text for r in registries for text in wrong_addresses(latest.get(r.name, {}), r.url)]
    return wrong or [text for r in registries for text in _not_reached(records, latest.get(r.name, {}))]


def _not_reached(records: Sequence[Record], services: Mapping[str, Any]) -> list[str]:
    """Who gets no request though the registry calls it healthy; faults are another reason for that."""
    if any(True for _ in of(records, FaultRequested)):
        return []
    asked, refused, served = Counter[str](), Counter[str](), set[str]()
    for _, done in of(records, RequestDone):
        asked[done.model] += 1
        refused[done.model] += done.status in NO_BACKEND
        served |= {done.served_by, *done.claims.values()}
    if served.isdisjoint(services):  # nobody says who serves: only refusals speak
        asked = Counter({model: number for model, number in asked.items() if refused[model] == number})
    return not_reached(services, asked, refused, served)


def explain(records: Sequence[Record], verdict: Verdict, since: float, facts: Facts) -> tuple[str, ...]:
    """The lines that stand below a verdict: what it rests on, what happened meanwhile, known symptoms."""
    evidence = _speaking(records, verdict.evidence)
    active = _active_fault(records, since)
    told: dict[str, float] = {}
    for record in records:
        relevant = record.n in evidence or record.n == active or record.t >= since
        text = say(record) if relevant and _tells(record, evidence) else None
        if text:
            told[text] = record.t
    told |= {text: t for t, text in changes(records, since)}
    lines = [text for text, _ in sorted(told.items(), key=lambda item: item[1])]
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], f"... {len(lines) - LINES} more ...", *lines[-(LINES // 2) :]]
    return (*lines, *(f"likely cause: {text}" for text in symptoms(records, facts)))


def _speaking(records: Sequence[Record], evidence: Sequence[int]) -> set[int]:
    """The evidence, with a few of its requests for all of them."""
    requests = [n for n in evidence if n < len(records) and isinstance(records[n].event, RequestDone)]
    return set(evidence) - set(requests[REQUESTS:])


def _tells(record: Record, evidence: set[int]) -> bool:
    """Requests speak only as evidence: a load has thousands."""
    return record.n in evidence or not isinstance(record.event, RequestDone)


def _active_fault(records: Sequence[Record], before: float) -> int | None:
    """The record of the last fault proven before a moment and not healed by then."""
    active: dict[str, int] = {}
    for record in records:
        if record.t > before:
            break
        if isinstance(record.event, FaultProven):
            active[record.event.fault] = record.n
        elif isinstance(record.event, FaultHealed):
            active.pop(record.event.fault, None)
    return max(active.values(), default=None)
