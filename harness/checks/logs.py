"""Check `logs`: every request stands in the log of the service that served it, and in no other's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.checks.requests import NOTHING_SENT, WHO_SERVES, is_ok
from harness.checks.words import clock_time, count, sentences
from harness.events import FaultHealed, FaultRequested, LogRead, RequestLogged, ServiceExited
from harness.verdict import Verdict, failed, not_applicable, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence

SHOWN = 5
"""Requests of one finding that a verdict points at."""

_Findings = dict[str, list[tuple[int, str]]]
"""What was found -> the record number of each request it is true of, and which request that is."""

Period = tuple[float, float]
"""From when to when a service was disturbed."""


@dataclass(frozen=True, slots=True)
class Logs:
    """Every answered request was logged by the service that served it, and by no other that serves models.

    ```yaml
    checks:
      - logs: {every_request_in: its_service}
    ```

    Another service may have logged a request if it was disturbed while the request was under way: a router
    may then ask a second one. Where no log can be read at all the check is not applicable; requests to
    services whose log could not be read are unknown.
    """

    every_request_in: Literal["its_service"] = "its_service"
    """Where each request has to stand."""

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when each request stands where it was served."""
        answered = [(record, done) for record, done in evidence.requests() if is_ok(done)]
        if not answered:
            return unknown(f"{NOTHING_SENT} and answered, so nothing can stand in a log")
        book = _open(evidence)
        if not book.readable:
            return book.closed()
        wrong: _Findings = defaultdict(list)
        unclear: _Findings = defaultdict(list)
        for record, done in answered:
            owner = evidence.facts.owner(done.served_by)
            if owner is None:
                unclear[_nameless(done)].append((record.n, _which(done)))
            elif owner.name not in book.readable:
                unclear[book.why_not(owner.name)].append((record.n, _which(done)))
            else:
                for text, place in book.mistakes(done, owner.name):
                    wrong[text].append((record.n, _which(done) + place))
        if wrong:
            return failed(_told(wrong), evidence=[n for which in wrong.values() for n, _ in which[:SHOWN]])
        if unclear:
            return unknown(_told(unclear))
        return passed(
            f"each of {count(len(answered), 'request')} stands in the log of the service that served it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """All logs: who logged which request, whose log can be read, and who was disturbed when."""

    logged: Mapping[str, Mapping[str, RequestLogged]]
    readable: frozenset[str]
    unreadable: Mapping[str, str]
    serving: frozenset[str]
    disturbed: Mapping[str, Sequence[Period]]

    def closed(self) -> Verdict:
        """The verdict when nobody's log can be read."""
        if self.unreadable:
            return not_applicable(sentences(list(dict.fromkeys(self.unreadable.values()))))
        return unknown("no log was read: an inventory says under 'log' how a service's log can be read")

    def why_not(self, service: str) -> str:
        """Why requests to this service cannot be judged."""
        return self.unreadable.get(service) or f"no log of {service} was read"

    def mistakes(self, done: RequestDone, owner: str) -> Iterator[tuple[str, str]]:
        """What is wrong with where one request stands, and the place if there is one."""
        places = self.logged.get(done.id, {})
        if owner not in places:
            yield f"{owner} served requests (as {done.served_by}) that its log does not hold", ""
        for service, place in places.items():
            if service != owner and service in self.serving and not self._was_disturbed(service, done):
                yield f"{service} logged requests that {owner} served", f", {place.log}:{place.line}"

    def _was_disturbed(self, service: str, done: RequestDone) -> bool:
        return any(begin <= done.ended and done.started <= end for begin, end in self.disturbed[service])


def _open(evidence: Evidence) -> _Book:
    logged: dict[str, dict[str, RequestLogged]] = defaultdict(dict)
    states: dict[str, str] = {}
    for record in evidence.records:
        event = record.event
        if record.t > evidence.until:
            break
        if isinstance(event, RequestLogged):
            logged[event.request].setdefault(event.service, event)
            states[event.service] = ""
        elif isinstance(event, LogRead):
            states[event.service] = event.error
    serving = frozenset(s.name for s in evidence.facts.services if any(s.registers.values()))
    unreadable = {name: error for name, error in states.items() if error and name in serving}
    return _Book(
        logged=logged,
        # A log that cannot be read is recorded as such at the first look; one that is silent is not.
        readable=serving - unreadable.keys() if states else frozenset(),
        unreadable=unreadable,
        serving=serving,
        disturbed=_disturbed(evidence),
    )


def _disturbed(evidence: Evidence) -> Mapping[str, Sequence[Period]]:
    """Service -> when a fault had hold of it, or it ended by itself."""
    periods: dict[str, list[Period]] = defaultdict(list)
    under_way: dict[str, tuple[float, set[str]]] = {}
    for record in evidence.records:
        event = record.event
        if isinstance(event, FaultRequested):
            hits = {name.partition(".")[0] for name in (event.target, *event.hits)}
            under_way[event.fault] = (record.t, hits)
        elif isinstance(event, FaultHealed) and event.fault in under_way:
            begin, hits = under_way.pop(event.fault)
            for service in hits:
                periods[service].append((begin, record.t))
        elif isinstance(event, ServiceExited):
            periods[event.service].append((record.t, record.t))
    for begin, hits in under_way.values():
        for service in hits:
            periods[service].append((begin, evidence.until))
    return periods


def _nameless(done: RequestDone) -> str:
    if done.served_by:
        return f"{done.served_by} answered, which no service answers as"
    return WHO_SERVES


def _which(done: RequestDone) -> str:
    return f"{done.id} at {clock_time(done.ended)}"


def _told(findings: _Findings) -> str:
    return sentences(
        [f"{text} ({count(len(which), 'request')}, first {which[0][1]})" for text, which in findings.items()]
    )
