"""Writing down what is going to be done, before it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.artifacts import Manifest, PlannedService, PlannedStep
from harness.facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model import Scenario, ServiceSpec, Step
    from harness.settings import RunSettings


def manifest_of(
    scenario: Scenario,
    settings: RunSettings,
    run: str,
    started: float,
    addresses: Mapping[str, str],
    specs: Sequence[ServiceSpec],
    steps: Sequence[PlannedStep],
) -> Manifest:
    """The manifest of a run; `specs` are the resolved ones, or empty before addresses are known."""
    shown = specs or scenario.topology.services
    return Manifest(
        run=run,
        scenario=scenario.name,
        id=scenario.id,
        file=scenario.file,
        about=scenario.about,
        tags=scenario.tags,
        hosts_kind=settings.hosts_kind,
        why_hosts=settings.why_hosts,
        hosts={host.name: addresses.get(host.name, host.address) for host in scenario.topology.hosts},
        services=tuple(
            PlannedService(name=s.name, host=s.host, kind=s.kind, url=s.url, command=s.command, ports=s.ports)
            for s in shown
        ),
        steps=tuple(steps),
        facts=facts_of(scenario.topology, shown),
        started=started,
        at_least=scenario.at_least,
        environment=settings.environment,
        params=scenario.params,
    )


def planned_step(step: Step, settings: RunSettings) -> PlannedStep:
    """A step as the manifest lists it."""
    chosen = settings.selected
    return PlannedStep(
        id=step.id,
        path=step.path,
        does=step.does,
        asks=tuple(type(expect.check).__name__ for expect in step.expects),
        file=step.place.file,
        line=step.place.line,
        selected=chosen is None or step.id in chosen,
        nodeid=settings.nodeids.get(step.id, ""),
    )
