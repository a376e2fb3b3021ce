"""A running topology: its hosts and services, and how faults find them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from harness.errors import EnvironmentFailure, HarnessBug, NotApplicable
from harness.events import Note, ServiceReady
from harness.facts import facts_of
from harness.hosts.base import Starts, Target
from harness.hosts.relay import near_url
from harness.readiness import wait_ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from harness.hosts.base import Exit, Hosts, Service, Workspace
    from harness.model import ServiceSpec, Topology


class Deployment:
    """The services of a run; what `harness.faults.base.Scene` asks for.

    Bring it up with `deployed`. A service that was stopped on purpose can be started again.
    """

    def __init__(
        self, topology: Topology, specs: Sequence[ServiceSpec], hosts: Hosts, workspace: Workspace
    ) -> None:
        self.topology = topology
        self.hosts = hosts
        self.clock = workspace.clock
        self.history = workspace.history
        self.facts = facts_of(topology, specs)
        self._specs: Mapping[str, ServiceSpec] = {spec.name: spec for spec in specs}
        self._services: dict[str, Service] = {}
        self.openings: list[Callable[[Service], None]] = []
        """Called with every service that is started for the first time from now on."""
        self._opened: dict[str, AbstractAsyncContextManager[Service]] = {}

    def spec(self, service: str) -> ServiceSpec:
        """The resolved spec of a service."""
        return self._specs[service]

    def service(self, name: str) -> Service:
        """The running service."""
        return self._services[name]

    def services(self) -> Sequence[Service]:
        """All services that were started."""
        return tuple(self._services.values())

    def targets(self, name: str) -> Sequence[Target]:
        """What a name stands for: a service, `service.child`, or all services of a host."""
        if name in self._specs:
            return (Target(service=name),)
        service, _, child = name.partition(".")
        if service in self._specs and child and child == self._specs[service].child:
            return (Target(service=service, child=True),)
        on_host = tuple(Target(service=spec.name) for spec in self._specs.values() if spec.host == name)
        if not on_host:
            msg = f"the loader let the unknown target '{name}' pass"
            raise HarnessBug(msg)
        return on_host

    async def until_ready(self, target: Target) -> str:
        """Wait until the target's readiness condition holds again; returns how that was seen."""
        spec = self._specs[target.service]
        begun = self.clock.monotonic()
        by = await wait_ready(self._services[spec.name], spec, clock=self.clock)
        after, url = self.clock.monotonic() - begun, near_url(spec.url)
        self.history.append(ServiceReady(service=spec.name, host=spec.host, after=after, by=by, url=url))
        return by

    async def start(self, name: str) -> None:
        """Start a service that was stopped, or was to come later, and wait until it is ready."""
        starts = self.starts()
        if name in self._services:
            await starts.start(name)
        else:
            await self._open(self._specs[name])
        await self.until_ready(Target(service=name))

    async def stop(self, name: str) -> Exit:
        """Stop a service as an operator would."""
        return await self.starts().stop(name)

    def specs(self) -> Sequence[ServiceSpec]:
        """All specs, resolved, in the topology's order."""
        return tuple(self._specs.values())

    def down(self) -> list[str]:
        """The services that should run and do not."""
        return [name for name, service in self._services.items() if not service.alive]

    def starts(self) -> Starts:
        """The hosts, as ones that can start and stop services; NotApplicable where they cannot."""
        if not isinstance(self.hosts, Starts):
            raise NotApplicable(
                self.hosts.cannot.get("Starts", f"{self.hosts.kind} hosts cannot start services")
            )
        return self.hosts

    async def bring_up(self) -> None:
        """Start every service, those without `after` at once; the first failure ends the others' waiting."""
        first = [spec for spec in self._specs.values() if not spec.later]
        ready = {spec.name: asyncio.Event() for spec in first}
        begun = self.clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for spec in first:
                group.create_task(self._bring_up(spec, ready), name=f"start {spec.name}")
        if isinstance(self.hosts, Starts):
            took = self.clock.monotonic() - begun
            self.history.append(Note(text=f"{len(first)} services are ready after {took:.2f} s"))

    async def _bring_up(self, spec: ServiceSpec, ready: Mapping[str, asyncio.Event]) -> None:
        for other in spec.after:
            await ready[other].wait()
        await self._open(spec)
        if isinstance(self.hosts, Starts):
            await self.until_ready(Target(service=spec.name))
        ready[spec.name].set()

    async def _open(self, spec: ServiceSpec) -> None:
        context = self.hosts.service(spec)
        service = self._services[spec.name] = await context.__aenter__()
        self._opened[spec.name] = context
        for hear in self.openings:
            hear(service)

    async def take_down(self) -> None:
        """Stop every service, users before what they use; what went wrong is raised when all are down."""
        wrong: list[BaseException] = []
        while self._opened:
            used = {
                other for name in self._opened for other in used_by(self._specs[name], self._specs.values())
            }
            wave = [name for name in self._opened if name not in used] or list(self._opened)
            closing = [self._opened.pop(name).__aexit__(None, None, None) for name in wave]
            results = await asyncio.gather(*closing, return_exceptions=True)
            wrong += [result for result in results if isinstance(result, BaseException)]
        if wrong:
            raise wrong[0]


def used_by(spec: ServiceSpec, others: Iterable[ServiceSpec]) -> set[str]:
    """The names of those whose URL stands in what a service is started with."""
    texts = [*spec.command, *spec.env.values(), *spec.files.values()]
    return {o.name for o in others if o.name != spec.name and o.url and any(o.url in text for text in texts)}


@asynccontextmanager
async def deployed(
    topology: Topology, specs: Sequence[ServiceSpec], hosts: Hosts, workspace: Workspace
) -> AsyncIterator[Deployment]:
    """The running deployment; EnvironmentFailure when it could not come up, everything stopped again."""
    deployment = Deployment(topology, specs, hosts, workspace)
    try:
        try:
            await deployment.bring_up()
        except* EnvironmentFailure as group:
            raise _first(group) from group
        yield deployment
    finally:
        await deployment.take_down()


def _first(group: BaseExceptionGroup[EnvironmentFailure]) -> EnvironmentFailure:
    texts = list(dict.fromkeys(str(error) for error in _leaves(group)))
    return EnvironmentFailure("; ".join(texts))


def _leaves(group: BaseExceptionGroup[EnvironmentFailure]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
