"""When services died, and until when they stayed dead, as the history tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from harness.events import FaultHealing, FaultProven, FaultRequested, ServiceExited, ServiceStarting

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts
    from harness.history import Record

CUTS = frozenset({"partition"})
"""Faults that take a service away although its process lives on; their healing brings it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A registered name is without a living service from `t` until `until`; `with_it`: who was down then."""

    name: str
    t: float
    until: float
    how: str
    with_it: frozenset[str]


def deaths(evidence: Evidence) -> list[Death]:
    """The deaths within the window; a name that several services share is dead while all of them are."""
    down: dict[str, tuple[float, str]] = {}
    under_way: dict[str, Death] = {}
    over: list[Death] = []
    hits = _Hits()
    for record in evidence.records:
        if record.t > evidence.until:
            break
        changed = hits.read(record)
        for service in changed.back:
            down.pop(service, None)
        for service in changed.gone:
            down.setdefault(service, (record.t, changed.how))
        if not (changed.back or changed.gone):
            continue
        alive = [name for name in under_way if not _is_dead(name, evidence.facts, down)]
        over += [replace(under_way.pop(name), until=record.t) for name in alive]
        for name in evidence.facts.registered():
            if name not in under_way and _is_dead(name, evidence.facts, down):
                t, how = max(down[s] for s in _owners(name, evidence.facts))
                under_way[name] = Death(name=name, t=t, until=inf, how=how, with_it=frozenset(down))
    everything = [*over, *under_way.values()]
    return sorted((d for d in everything if d.t >= evidence.since), key=lambda d: (d.t, d.name))


def _owners(name: str, facts: Facts) -> list[str]:
    return [service.name for service in facts.services if name in service.registers]


def _is_dead(name: str, facts: Facts, down: Mapping[str, object]) -> bool:
    return all(owner in down for owner in _owners(name, facts))


@dataclass(frozen=True, slots=True)
class _Change:
    gone: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    how: str = ""


@dataclass(slots=True)
class _Hits:
    """Which services each fault hits: only its request says so."""

    by_fault: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def read(self, record: Record) -> _Change:
        """What a record says about who is gone and who is back."""
        return next(self._said(record.event), _Change())

    def _said(self, event: object) -> Iterator[_Change]:
        match event:
            case FaultRequested(what=what, fault=fault) if what in CUTS:
                self.by_fault[fault] = event.hits
            case FaultProven(what=what, fault=fault) if what in CUTS:
                yield _Change(gone=self.by_fault.get(fault, ()), how=f"{what} {event.target}")
            case FaultHealing(what=what, fault=fault) if what in CUTS:
                yield _Change(back=self.by_fault.get(fault, ()))
            case ServiceExited():
                yield _Change(gone=(event.service,), how=f"{event.service} {_ended(event)}")
            case ServiceStarting():
                yield _Change(back=(event.service,))
            case _:
                return


def _ended(event: ServiceExited) -> str:
    return f"was ended by {event.signal}" if event.signal else f"ended with code {event.code}"
