"""What a registry of replicas showed around a moment."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.events import (
    FaultHealed,
    FaultHealing,
    FaultProven,
    FaultRequested,
    Seen,
    ServiceExited,
    ServiceStarting,
)

if TYPE_CHECKING:
    from harness.evidence import Evidence

PROTOCOL = "capability_registry"
VIEW = "replicas"

DISTURBING = (FaultRequested, FaultProven, FaultHealing, FaultHealed, ServiceStarting, ServiceExited)
"""Events around which an entry may come and go, or go and come, between two looks."""

Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What was shown just before, during and just after; `complete` once there was a look after it."""

    shown: tuple[Entries, ...]
    disturbed: bool
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All answered looks in order, and when something may have happened that no look shows."""

    begun: Sequence[float]
    ended: Sequence[float]
    shown: Sequence[Entries]
    disturbances: Sequence[float]

    def around(self, start: float, end: float) -> Around | None:
        """What was shown around a time; None where nobody had looked yet."""
        first = bisect_right(self.ended, start) - 1
        if first < 0:
            return None
        last = bisect_left(self.begun, end)
        complete = last < len(self.begun)
        until = self.ended[last] if complete else float("inf")
        disturbed = bisect_left(self.disturbances, self.begun[first]) < bisect_right(self.disturbances, until)
        return Around(shown=tuple(self.shown[first : last + 1]), disturbed=disturbed, complete=complete)


def replica_table(evidence: Evidence, source: str) -> Table:
    """What was seen of a registry's replicas, also before the window began."""
    looks: list[tuple[float, float, Entries]] = []
    disturbances = []
    for record in evidence.records:
        event = record.event
        if record.t > evidence.until:
            break
        if isinstance(event, DISTURBING):
            disturbances.append(record.t)
        elif isinstance(event, Seen) and (event.source, event.view) == (source, VIEW):
            if event.ok:
                value = looks[-1][2] if event.same and looks else event.value or {}
                looks.append((record.t - event.took, record.t, value))
            else:
                disturbances.append(record.t)
    return Table(
        begun=[begun for begun, _, _ in looks],
        ended=[ended for _, ended, _ in looks],
        shown=[shown for _, _, shown in looks],
        disturbances=disturbances,
    )
