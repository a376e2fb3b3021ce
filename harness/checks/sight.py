"""What an observer saw of one service's view within the window, or why nothing was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.words import clock_time, listed
from harness.events import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.evidence import Evidence, Facts, ServiceFacts
    from harness.history import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One answered look: its record number, its time, and what was there."""

    n: int
    t: float
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Every look at one view of one service; `looks` are answered ones, also from before the window."""

    source: str
    looks: tuple[Look, ...]
    latest: Look | None
    """The last answered look within the window."""
    blind: str
    """Why there is none; empty when there is one."""
    silence: str = ""
    """Since when the service has not answered any more, and its last real error; empty while it answers."""

    def last_with(self, name: str) -> Look | None:
        """The last answered look whose value holds a name."""
        return next((look for look in reversed(self.looks) if name in look.value), None)


def source_of(facts: Facts, at: str, protocol: str) -> str:
    """The service whose view is meant: `at`, or the only one that speaks the protocol; empty if unclear.

    Of several, the only one that registers nothing itself is meant: the router among its backends.
    """
    if at:
        return at
    speaking = facts.speaking(protocol)
    fitting = speaking if len(speaking) == 1 else [s for s in speaking if not s.registers]
    return fitting[0].name if len(fitting) == 1 else ""


def sight(evidence: Evidence, view: str, at: str, protocol: str) -> Sight:
    """What was seen of a view up to the end of the evidence."""
    source = source_of(evidence.facts, at, protocol)
    if not source:
        return Sight(source="", looks=(), latest=None, blind=unclear(evidence.facts, protocol))
    looks, failures = _looks(evidence, view, source)
    latest = looks[-1] if looks and looks[-1].t >= evidence.since else None
    silence = ""
    if failures and failures[-1][0].t >= evidence.since:
        silence = f"{source} has not answered since {clock_time(failures[0][0].t)}: {failures[-1][1].error}"
    blind = "" if latest else silence or _why_blind(evidence, view, source)
    return Sight(source=source, looks=looks, latest=latest, blind=blind, silence=silence)


def unclear(facts: Facts, protocol: str) -> str:
    """Why no service is meant by itself."""
    speaking: tuple[ServiceFacts, ...] = facts.speaking(protocol)
    if not speaking:
        return f"no service speaks {protocol}, so there is nobody to look at; name one with 'at: SERVICE'"
    return f"{listed(s.name for s in speaking)} speak {protocol}; say which one with 'at: SERVICE'"


def _seen(evidence: Evidence, view: str, source: str) -> Iterator[tuple[Record, Seen]]:
    for record in evidence.records:
        event = record.event
        if record.t > evidence.until:
            return
        if isinstance(event, Seen) and event.view == view and event.source == source:
            yield record, event


def _looks(evidence: Evidence, view: str, source: str) -> tuple[tuple[Look, ...], list[tuple[Record, Seen]]]:
    value: Any = None
    looks: list[Look] = []
    failures: list[tuple[Record, Seen]] = []
    for record, event in _seen(evidence, view, source):
        if not event.ok:
            failures.append((record, event))
            continue
        value = value if event.same else event.value
        looks.append(Look(n=record.n, t=record.t, value=value))
        failures.clear()
    return tuple(looks), failures


def _why_blind(evidence: Evidence, view: str, source: str) -> str:
    if evidence.facts.service(source) is None:
        return f"no service is called '{source}', so nobody was asked for {view}"
    return f"nobody looked at the {view} of {source} in these {evidence.until - evidence.since:.1f} s"
