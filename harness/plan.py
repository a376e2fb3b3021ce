"""What can be said of a scenario before anything starts: hosts, ports, steps, samples, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.checks.base import WantsSample
from harness.evidence import Facts
from harness.facts import facts_of
from harness.lints import walk
from harness.model import Scenario, ServiceSpec, Step
from harness.step_words import asks_in_words, does_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """Traffic that will be sent: how many requests, and who said so. None: as long as nested steps take."""

    requests: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """A step, in words; the steps within it follow it, one level deeper."""

    id: str
    name: str
    level: int
    does: str
    asks: tuple[str, ...]
    limit: float
    line: int
    load: PlannedLoad | None = None
    nothing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """A service: what it is, where it listens."""

    name: str
    host: str
    kind: str
    image: str
    ports: tuple[int, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is known beforehand; times in seconds, start and end of the deployment left out."""

    scenario: str
    id: str
    file: str
    about: str
    tags: tuple[str, ...]
    params: Mapping[str, Any]
    hosts: tuple[str, ...]
    services: tuple[ServicePlan, ...]
    steps: tuple[StepPlan, ...]
    checks: tuple[StepPlan, ...]
    at_least: int | None
    takes_at_least: float
    takes_at_most: float

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


def plan(scenario: Scenario, cap: int | None = None) -> Plan:
    """The plan of a scenario; `cap` bounds the requests of loads that say `auto`."""
    facts = facts_of(scenario.topology)
    most = sum(_at_most(step) for step in scenario.steps)
    return Plan(
        scenario=scenario.name,
        id=scenario.id,
        file=scenario.file,
        about=scenario.about,
        tags=scenario.tags,
        params=scenario.params,
        hosts=tuple(host.name for host in scenario.topology.hosts),
        services=tuple(_service(spec) for spec in scenario.topology.services),
        steps=tuple(_step(step, facts, cap) for step in walk(scenario.steps)),
        checks=tuple(_step(step, facts, cap) for step in scenario.checks),
        at_least=scenario.at_least,
        takes_at_least=sum(_at_least(step) for step in scenario.steps),
        takes_at_most=min(most, scenario.limit),
    )


def _service(spec: ServiceSpec) -> ServicePlan:
    return ServicePlan(
        name=spec.name, host=spec.host, kind=spec.kind, image=spec.image, ports=spec.ports, after=spec.after
    )


def _step(step: Step, facts: Facts, cap: int | None) -> StepPlan:
    return StepPlan(
        id=step.id,
        name=step.name,
        level=len(step.path) - 1,
        does=does_in_words(step),
        asks=tuple(asks_in_words(expect) for expect in step.expects),
        limit=step.limit,
        line=step.place.line,
        load=planned_load(step, facts, cap) if step.does == "load" else None,
        nothing=step.nothing,
    )


def planned_load(step: Step, facts: Facts, cap: int | None) -> PlannedLoad:
    """How many requests a load sends."""
    asked = getattr(step.action, "requests", None)
    if isinstance(asked, int):
        return PlannedLoad(requests=asked, why="stated")
    if asked == "auto":
        return _automatic(step, facts, cap)
    rate, seconds = (getattr(step.action, name, None) for name in ("rate", "seconds"))
    if rate is not None and seconds is not None:
        return PlannedLoad(requests=round(rate * seconds), why=f"{rate:g}/s for {seconds:g} s")
    return PlannedLoad(requests=None, why=f"for {seconds:g} s" if seconds is not None else "while it lasts")


def _automatic(step: Step, facts: Facts, cap: int | None) -> PlannedLoad:
    model = str(getattr(step.action, "model", ""))
    samples = [
        (expect.check.sample(facts, model), asks_in_words(expect))
        for expect in step.expects
        if isinstance(expect.check, WantsSample)
    ]
    if not samples:
        return PlannedLoad(requests=None, why="auto, and no check says how many it needs")
    needed, who = max(samples)
    if cap is not None and needed > cap:
        return PlannedLoad(requests=cap, why=f"auto: '{who}' needs {needed}, capped at {cap}")
    return PlannedLoad(requests=needed, why=f"auto: '{who}' needs them")


def _at_least(step: Step) -> float:
    within = sum(_at_least(nested) for nested in step.steps)
    seconds = getattr(step.action, "seconds", None) or 0.0
    return max(within, seconds) + sum(expect.hold or 0.0 for expect in step.expects)


def _at_most(step: Step) -> float:
    waiting = sum(expect.within or expect.hold or 0.0 for expect in step.expects)
    return (step.limit if step.does else 0.0) + waiting + sum(_at_most(nested) for nested in step.steps)
