"""Check `scores`: a balancer gives each node the points that its hardware is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.checks.entries import absence, broken
from harness.checks.sight import sight, source_of
from harness.checks.words import after, listed
from harness.options import RegisteredName, ServiceName
from harness.verdict import Verdict, passed, unknown

if TYPE_CHECKING:
    from harness.checks.sight import Sight
    from harness.evidence import Evidence, Facts

PROTOCOL = "balancer"
VIEW = "services"
ROUNDED = 0.051
"""Points are shown with one digit after the point."""


@dataclass(frozen=True, slots=True)
class Scores:
    """In the balancer's latest answer, each node has these points.

    ```yaml
    expect: {scores: {big: 100, small: 26.5}, at: registry, within: 5s}
    ```

    State what the formula makes of the hardware that the node reports, not what the balancer shows.
    """

    points: Mapping[RegisteredName, Annotated[float, Field(ge=0, le=100)]]
    """Node -> its points."""
    _: KW_ONLY
    at: ServiceName = ""
    """The balancer that is asked; empty: the only service that speaks `balancer`."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The balancer's nodes."""
        source = source_of(facts, self.at, PROTOCOL)
        return [(source, VIEW)] if source else []

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when nobody has other points."""
        seen = sight(evidence, VIEW, self.at, PROTOCOL)
        if seen.latest is None:
            return unknown(seen.blind)
        if not self.points:
            return unknown("no node is given whose points should be looked at")
        wrong = dict(self._wrong(seen.latest.value, seen))
        if wrong:
            *others, last = wrong.values()
            return broken([*others, f"{last}, {after(evidence, evidence.until)}"], wrong, seen, evidence)
        told = listed(f"{name} has {points:g}" for name, points in self.points.items())
        return passed(told, evidence=(seen.latest.n,))

    def _wrong(
        self, entries: Mapping[str, Mapping[str, Mapping[str, object]]], seen: Sight
    ) -> Iterator[tuple[str, str]]:
        for name, wanted in self.points.items():
            if name not in entries:
                yield name, absence(name, seen)
                continue
            shown = entries[name]["metadata"].get("score")
            points = float(shown) if isinstance(shown, int | float) else None
            if points is None or abs(points - wanted) > ROUNDED:
                has = "no" if points is None else f"{points:g}"
                yield name, f"{name} has {has} points at {seen.source}, its hardware is worth {wanted:g}"
