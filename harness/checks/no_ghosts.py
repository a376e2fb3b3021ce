"""Check `no_ghosts`: whoever died does not stay registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.checks.entries import PROTOCOL, VIEW
from harness.checks.lives import Death, deaths
from harness.checks.replica_table import PROTOCOL as REPLICA_PROTOCOL
from harness.checks.replica_table import VIEW as REPLICA_VIEW
from harness.checks.words import clock_time, count, listed, sentences
from harness.events import Seen
from harness.history import of
from harness.quantities import Duration
from harness.verdict import Verdict, failed, not_applicable, passed, unknown

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts

VIEWS: Mapping[str, str] = {PROTOCOL: VIEW, REPLICA_PROTOCOL: REPLICA_VIEW}
"""Protocols of registries -> the view that lists who is registered."""


@dataclass(frozen=True, slots=True)
class NoGhosts:
    """No name stays listed longer than this after its service died.

    ```yaml
    checks:
      - no_ghosts: {longer_than: 8s}
    ```

    A service has died when its process ended or its host was cut off; it is no ghost once it is started again
    or the cut is healed, nor while another service has the same name. A frozen service has not died: expect
    it to be `unregistered` where that is promised. The times it took are told, and stand in the report.
    """

    longer_than: Duration = 8.0
    """How long a name may outlive its service."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The entries of every registry."""
        spoken = [(s.name, [VIEWS[p] for p in VIEWS if p in s.speaks]) for s in facts.services]
        return [(name, views[0]) for name, views in spoken if views]

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when everybody who died was forgotten in time."""
        views = self.views(evidence.facts)
        looks = {view: _Looks(*view, evidence) for view in views}
        listed_names = {name for seen in looks.values() for name in seen.names}
        if not listed_names:
            return unknown("no registry was seen to list anybody")
        died = [death for death in deaths(evidence) if death.name in listed_names]
        if not died:
            return not_applicable("nobody who is registered died, so nobody could become a ghost")
        ends = [end for death in died for seen in looks.values() if (end := seen.judge(death)) is not None]
        return self._verdict(ends)

    def _verdict(self, ends: Sequence[_End]) -> Verdict:
        took = {f"{end.name} at {end.source}": _shown(end, ends) for end in ends if end.gone is not None}
        numbers = {"longer_than": self.longer_than, "took": took}
        ghosts = [end for end in ends if end.seen_for > self.longer_than]
        if ghosts:
            return failed(
                sentences([self._told(end) for end in ghosts]),
                settled=True,
                evidence=[end.n for end in ghosts],
                no_ghosts=numbers,
            )
        open_ends = [end for end in ends if end.gone is None]
        if not took:
            names = listed(dict.fromkeys(end.name for end in open_ends))
            return unknown(f"nobody saw how long {names or 'anybody'} stayed registered", no_ghosts=numbers)
        slowest = max((end for end in ends if end.gone is not None), key=lambda end: end.gone or 0.0)
        return passed(
            f"{count(len(took), 'name')} of services that died went in time, the slowest, {slowest.name}, "
            f"after {slowest.gone:.1f} s (at most {self.longer_than:g} s are allowed)",
            no_ghosts=numbers,
        )

    def _told(self, end: _End) -> str:
        return (
            f"{end.name} still stood in {end.source} {end.seen_for:.1f} s after {end.how} at "
            f"{clock_time(end.died)} (at most {self.longer_than:g} s are allowed)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How one name left one registry: for how long it was seen, and when it was seen to be gone."""

    name: str
    source: str
    how: str
    died: float
    n: int
    seen_for: float
    gone: float | None


@dataclass(slots=True)
class _Looks:
    """One registry's answered looks; the value is carried over where it was the same."""

    source: str
    view: str
    evidence: Evidence
    looks: list[tuple[int, float, float, Mapping[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.looks = list(self._read())

    def _read(self) -> Iterator[tuple[int, float, float, Mapping[str, Any]]]:
        value: Mapping[str, Any] = {}
        for record, seen in of(self.evidence.records, Seen):
            if (seen.source, seen.view) != (self.source, self.view) or record.t > self.evidence.until:
                continue
            if seen.ok:
                value = value if seen.same else seen.value
                yield record.n, record.t - seen.took, record.t, value

    @property
    def names(self) -> set[str]:
        """Everybody who was ever listed within the window or before."""
        return {name for *_, value in self.looks for name in value}

    def judge(self, death: Death) -> _End | None:
        """How this registry took a death; None where it had never listed that name, or died with it."""
        before = [look for look in self.looks if look[2] <= death.t]
        if not any(death.name in look[3] for look in before) or self.source in death.with_it:
            return None
        n, seen_for = before[-1][0], 0.0
        gone = None if death.name in before[-1][3] else 0.0
        for number, begun, ended, value in self.looks[len(before) :]:
            if ended > death.until or gone is not None:
                continue
            if death.name not in value:
                gone = ended - death.t
            elif begun >= death.t:
                n, seen_for = number, begun - death.t
        return _End(
            name=death.name,
            source=self.source,
            how=death.how,
            died=death.t,
            n=n,
            seen_for=seen_for,
            gone=gone,
        )


def _shown(end: _End, ends: Sequence[_End]) -> list[float]:
    """All times that a name took to go, of every time its service died."""
    same = [other for other in ends if (other.name, other.source) == (end.name, end.source)]
    return [round(other.gone, 3) for other in same if other.gone is not None]
