"""How checks say when and who: times of the run, distances from where the window began, lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from harness.events import FaultHealed, FaultProven

if TYPE_CHECKING:
    from harness.evidence import Evidence

AT_ONCE = 0.05
"""Seconds within which a window and a fault count as having begun together."""


def clock_time(t: float) -> str:
    """Seconds since the run began -> `00:17.900`."""
    minutes, seconds = divmod(max(t, 0.0), 60)
    return f"{int(minutes):02d}:{seconds:06.3f}"


def beginning(evidence: Evidence) -> str:
    """What the window began with: `kill babysitter-c`, its end, or `the step began`."""
    began = "the step began"
    for record in evidence.records:
        if abs(record.t - evidence.since) <= AT_ONCE:
            if isinstance(record.event, FaultProven):
                began = f"{record.event.what} {record.event.target}"
            elif isinstance(record.event, FaultHealed):
                began = f"the end of {record.event.what} {record.event.target}"
    return began


def after(evidence: Evidence, t: float) -> str:
    """`3.9 s after kill babysitter-c`."""
    return f"{max(t - evidence.since, 0.0):.1f} s after {beginning(evidence)}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """`a, b and c`; of many, the first few and how many more."""
    words = list(names)
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def sentences(parts: Sequence[str], most: int = 4) -> str:
    """Findings joined with semicolons; of many, the first few and how many more."""
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return "; ".join([*parts[:most], *more])


def count(number: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
