"""What registries and routers listed over time, held against what was really there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.events import Seen
from harness.history import of
from reports.lanes import bands
from reports.model import Band, Visibility

if TYPE_CHECKING:
    from harness.evidence import Facts
    from harness.history import Record
    from reports.lanes import Presence

Span = tuple[float, float]

SHORTEST = 0.25
"""A shorter disagreement than this (seconds) is within the observers' own resolution."""


def visibility_of(
    records: Sequence[Record], facts: Facts, presence: Mapping[str, Presence]
) -> tuple[Visibility, ...]:
    """One row for every name in every source's `services` view and every model in every `models` view.

    A row ends with the source's last look: what was not looked at any more (tear-down) is nobody's ghost.
    In doubtful times an entry is neither ghost nor blind: nobody saw whether its service was there.
    """
    found = []
    for (source, view), looks in _looks(records).items():
        whole = (looks[0][0], looks[-1][0])
        for name in sorted(frozenset().union(*(names for _, names in looks))):
            listed = bands(((t, "listed" if name in names else "", "") for t, names in looks), whole[1])
            row = Visibility(name=name, source=source, view=view, listed=listed)
            owner = facts.owner(name) if view == "services" else None
            if owner is not None and owner.name in presence:
                row = _judged(row, presence[owner.name], whole, is_child=name != owner.name)
            found.append(row)
    return tuple(found)


def _judged(row: Visibility, presence: Presence, whole: Span, *, is_child: bool) -> Visibility:
    sure = _without(presence.child_doubtful if is_child else (), whole)
    shown = [(band.start, band.end) for band in row.listed]
    ghost = _both(_both(shown, presence.gone), sure)
    blind = _both(_both(_without(shown, whole), presence.there), sure)
    return replace(row, ghost=_long(ghost, "ghost"), blind=_long(blind, "blind"))


def _looks(records: Sequence[Record]) -> dict[tuple[str, str], list[tuple[float, frozenset[str]]]]:
    """(source, view) -> which names were listed at each look; none when it did not answer."""
    looks: dict[tuple[str, str], list[tuple[float, frozenset[str]]]] = {}
    last: dict[tuple[str, str], frozenset[str]] = {}
    for record, event in of(records, Seen):
        if event.view not in _NAMES:
            continue
        where = (event.source, event.view)
        if event.ok and not event.same:
            last[where] = _NAMES[event.view](event.value)
        looks.setdefault(where, []).append(
            (record.t, last.get(where, frozenset()) if event.ok else frozenset())
        )
    return looks


def _services(value: Any) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, Mapping) else frozenset()


def _models(value: Any) -> frozenset[str]:
    return frozenset(map(str, value.get("models", ()))) if isinstance(value, Mapping) else frozenset()


_NAMES = {"services": _services, "models": _models}


def _both(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """The stretches that lie in both, those that touch made one."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    joined: list[Span] = []
    for start, end in sorted(span for span in pairs if span[0] < span[1]):
        if joined and joined[-1][1] >= start:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _without(spans: Sequence[Span], whole: Span) -> list[Span]:
    """The gaps that spans leave in the whole."""
    gaps, at = [], whole[0]
    for start, end in sorted(spans):
        if start > at:
            gaps.append((at, min(start, whole[1])))
        at = max(at, end)
    return [*gaps, (at, whole[1])] if at < whole[1] else gaps


def _long(spans: Sequence[Span], state: str) -> tuple[Band, ...]:
    return tuple(Band(state=state, start=a, end=b) for a, b in spans if b - a >= SHORTEST)
