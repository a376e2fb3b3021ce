"""What a check is given: the history so far, the window it judges, and what the topology states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from harness.events import Event, RequestDone, Seen
from harness.history import Record, of

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """What the topology (or inventory, or discovery) states about one service.

    `registers` maps every name under which it appears in a registry to the models offered there;
    `capabilities` maps those under which a registry routes to it to what it can do, as objects;
    `answers_as` are the names it and its child may give as who served a request.
    """

    name: str
    host: str = ""
    url: str = ""
    speaks: tuple[str, ...] = ()
    registers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    capabilities: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    answers_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is stated about a deployment, and where (`topologies/x.yaml`, `inventory`, `discovered`)."""

    services: tuple[ServiceFacts, ...] = ()
    stated_by: str = ""
    serving_at_least: int = 0

    def service(self, name: str) -> ServiceFacts | None:
        """The service with that name."""
        return next((s for s in self.services if s.name == name), None)

    def speaking(self, protocol: str) -> tuple[ServiceFacts, ...]:
        """The services that speak a protocol, in the topology's order."""
        return tuple(s for s in self.services if protocol in s.speaks)

    def registered(self) -> tuple[str, ...]:
        """Every name that should stand in the registry."""
        return tuple(name for s in self.services for name in s.registers)

    def models(self) -> tuple[str, ...]:
        """Every model that should be offered, once, sorted."""
        return tuple(sorted({m for s in self.services for models in s.registers.values() for m in models}))

    def offers(self) -> dict[str, tuple[str, ...]]:
        """Registered name -> its models, for those that serve models."""
        return {name: tuple(models) for s in self.services for name, models in s.registers.items() if models}

    def offering(self, model: str) -> tuple[str, ...]:
        """The registered names that should offer a model."""
        return tuple(name for name, models in self.offers().items() if model in models)

    def owner(self, name: str) -> ServiceFacts | None:
        """The service that a registered or answering name belongs to."""
        return next(
            (s for s in self.services if name == s.name or name in s.registers or name in s.answers_as), None
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON value for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Facts:
        """The inverse of `to_json`."""
        services = tuple(
            ServiceFacts(
                name=s["name"],
                host=s["host"],
                url=s["url"],
                speaks=tuple(s["speaks"]),
                registers={name: tuple(models) for name, models in s["registers"].items()},
                capabilities={name: tuple(able) for name, able in s.get("capabilities", {}).items()},
                answers_as=tuple(s["answers_as"]),
            )
            for s in raw["services"]
        )
        return cls(
            services=services,
            stated_by=raw["stated_by"],
            serving_at_least=raw.get("serving_at_least", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The history up to `until`, judged from `since` on; `load`: the load an expectation stands beside."""

    records: Sequence[Record]
    since: float
    until: float
    facts: Facts = field(default_factory=Facts)
    load: str = ""

    def window(self) -> Sequence[Record]:
        """The records from `since` to `until`."""
        return [r for r in self.records if self.since <= r.t <= self.until]

    def of(self, kind: type[E]) -> Iterator[tuple[Record, E]]:
        """The events of one class within the window."""
        return of(self.window(), kind)

    def requests(self) -> list[tuple[Record, RequestDone]]:
        """The requests to judge: those of the load if there is one, else all of the window."""
        if self.load:
            return [
                (r, e) for r, e in of(self.records, RequestDone) if e.load == self.load and r.t <= self.until
            ]
        return list(self.of(RequestDone))

    def observations(self, view: str, source: str = "") -> list[tuple[Record, Seen, Any]]:
        """Observations of a view within the window, each with its value (carried over where `same`)."""
        values: dict[str, Any] = {}
        seen = []
        for record, event in of(self.records, Seen):
            if event.view != view or (source and event.source != source) or record.t > self.until:
                continue
            if event.ok and not event.same:
                values[event.source] = event.value
            if record.t >= self.since:
                seen.append((record, event, values.get(event.source) if event.ok else None))
        return seen
