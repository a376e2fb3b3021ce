"""Replicas that a registry stopped listing although they live and nothing was done to them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from harness.events import FaultHealed, FaultRequested, RequestDone, Seen, ServiceExited, ServiceStarting

if TYPE_CHECKING:
    from harness.checks.replica_table import Table
    from harness.evidence import Evidence, Facts

CALM = 10.0
"""Seconds after a fault within which a replica may still come and go because of it."""
LATE = 1.0
"""Seconds by which the end of a process may be noticed later than the registry noticed it."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Lost:
    """Who was listed, until when, and whether anything has happened since that would excuse its absence."""

    table: Table
    faults: Sequence[tuple[float, float]]
    """From when until when something was disturbed, or a registry told to change something."""
    events: Sequence[tuple[float, str]]
    """Starts and ends of services, by the name that is concerned; under the empty name what concerns all."""

    def since(self, name: str, t: float) -> float | None:
        """When a replica that lives was last listed, if it was lost before `t`; None where it was not."""
        look = bisect_right(self.table.ended, t) - 1
        listed = (n for n in range(look, -1, -1) if name in self.table.shown[n])
        last = next(listed, None)
        if last is None or last == look or not self.table.shown[last][name]["routable"]:
            return None
        begun = self.table.begun[last]
        if any(start <= t and end + CALM >= begun for start, end in self.faults):
            return None
        excused = any(
            begun <= when <= t + LATE and concerned in ("", name) for when, concerned in self.events
        )
        return None if excused or self._is_down(name, begun) else self.table.ended[last]

    def _is_down(self, name: str, t: float) -> bool:
        """Whether its service had ended before it was last listed, and nobody started it again."""
        last = [what for when, what in self.events if when < t and what in (name, f"-{name}")]
        return bool(last) and last[-1] == f"-{name}"


def lost_replicas(evidence: Evidence, source: str, table: Table) -> Lost:
    """What the history says of replicas' lives, for one registry."""
    began: dict[str, float] = {}
    faults: list[tuple[float, float]] = []
    events: list[tuple[float, str]] = []
    for record in evidence.records:
        if record.t > evidence.until:
            break
        event = record.event
        if isinstance(event, FaultRequested):
            began[event.fault] = record.t
        elif isinstance(event, FaultHealed):
            faults.append((began.pop(event.fault, record.t), record.t))
        elif isinstance(event, RequestDone):
            faults += [(event.started, event.ended)] if _changes_a_registry(event, evidence.facts) else []
        else:
            events += ((record.t, concerned) for concerned in _concerned(event, source, evidence.facts))
    return Lost(table, [*faults, *((start, inf) for start in began.values())], events)


def _concerned(event: object, source: str, facts: Facts) -> Iterator[str]:
    """Whose presence an event may change: a name, with a dash where its service has ended, or all (empty)."""
    match event:
        case ServiceStarting() | ServiceExited():
            if event.service == source:
                yield ""
            there = facts.service(event.service)
            for name in there.registers if there else ():
                yield name
                if isinstance(event, ServiceExited):
                    yield f"-{name}"
        case Seen(ok=False) if event.source == source:
            yield ""
        case _:
            return


def _changes_a_registry(done: RequestDone, facts: Facts) -> bool:
    if done.method in READING:
        return False
    registries = [s for s in facts.services if {"capability_registry", "service_registry"} & set(s.speaks)]
    return any(service.url and done.url.startswith(service.url) for service in registries)
