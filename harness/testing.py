"""What tests of scenarios, faults and hosts are made with: a clock that is told the time, hosts in memory.

`FakeHosts` behaves as a hosts kind does and can be told to ignore what it is asked. `FakeScene` is the
smallest `harness.faults.base.Scene`, over any hosts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from typing import TYPE_CHECKING, Any, ClassVar

from harness.artifacts import ScenarioDirectory
from harness.clock import Clock, SystemClock
from harness.errors import EnvironmentFailure, Place
from harness.history import History
from harness.hosts.base import Exit, Process, Target, Workspace
from harness.model import HostSpec, ServiceSpec, Topology

if TYPE_CHECKING:
    from harness.hosts.base import Hosts, Service

HERE = Place("test.scenario.yaml", 1)


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def service_spec(name: str, host: str = "server1", **fields: Any) -> ServiceSpec:
    """A service as a loaded topology holds it."""
    return ServiceSpec(name=name, host=host, place=HERE, **fields)


def topology_of(*services: ServiceSpec) -> Topology:
    """The topology of these services, hosts in the order of their first service."""
    hosts = dict.fromkeys(service.host for service in services)
    return Topology(
        hosts=tuple(
            HostSpec(name=host, place=HERE, services=tuple(s for s in services if s.host == host))
            for host in hosts
        )
    )


def workspace_in(folder: Path, clock: Clock | None = None, run: str = "run-1") -> Workspace:
    """A workspace whose run directory and scenario folder are `folder`; its history is in memory."""
    clock = clock or SystemClock()
    directory = ScenarioDirectory(folder)
    return Workspace(run=run, directory=directory, history=History(clock), clock=clock, root=folder)


@dataclass(slots=True)
class FakeService:
    """A service that only says it runs."""

    spec: ServiceSpec
    address: str
    log: Path | None = None
    log_from: int = 0
    processes: list[Process] = field(default_factory=list)
    ended: asyncio.Future[Exit] | None = None

    @property
    def alive(self) -> bool:
        return self.ended is not None and not self.ended.done()

    async def exited(self) -> Exit:
        if self.ended is None:
            return Exit(code=None)
        return await asyncio.shield(self.ended)


class FakeHosts:
    """Hosts in memory: a service is a main process and, where its spec names a child, one more.

    `deaf=True` makes them ignore every signal, start and stop, as a broken tool would.
    """

    kind: ClassVar[str] = "fake"
    cannot: Mapping[str, str] = {"ShapesNetwork": "fake hosts have no network"}

    def __init__(self, topology: Topology) -> None:
        self.addresses: Mapping[str, str] = {
            host.name: f"192.0.2.{n}" for n, host in enumerate(topology.hosts, start=1)
        }
        self.deaf = False
        self.supervised = True
        """Whether a child that was ended is started again."""
        self.signalled: list[tuple[str, str]] = []
        self.on_start: Callable[[str], object] = str
        """Called with the name of each service that is started again."""
        self._services: dict[str, FakeService] = {}
        self._pids = count(100)

    @classmethod
    @asynccontextmanager
    async def open(cls, topology: Topology, workspace: Workspace) -> AsyncIterator[FakeHosts]:  # noqa: ARG003
        yield cls(topology)

    @asynccontextmanager
    async def service(self, spec: ServiceSpec) -> AsyncIterator[FakeService]:
        service = FakeService(spec, self.addresses[spec.host])
        self._services[spec.name] = service
        self._run(service)
        yield service
        self._end(service, Exit(code=0))

    async def processes(self, target: Target) -> Sequence[Process]:
        found = self._services[target.service].processes
        return tuple(found[1:] if target.child else found)

    async def signal(self, target: Target, signal: int) -> Sequence[Process]:
        hit = await self.processes(target)
        self.signalled.append((str(target), Signals(signal).name))
        if not self.deaf:
            self._obey(self._services[target.service], target, signal)
        return hit

    async def start(self, service: str) -> None:
        self.on_start(service)
        if not self.deaf:
            self._run(self._services[service])

    async def stop(self, service: str, within: float | None = None) -> Exit:
        if self.deaf:
            msg = f"{service} could not be ended"
            raise EnvironmentFailure(msg)
        return self._end(self._services[service], Exit(code=0))

    def _run(self, service: FakeService) -> None:
        service.ended = asyncio.get_running_loop().create_future()
        names = (service.spec.name, service.spec.child) if service.spec.child else (service.spec.name,)
        service.processes = [self._process(name) for name in names]

    def _process(self, command: str) -> Process:
        pid = next(self._pids)
        return Process(pid=pid, born=pid, state="S", command=command)

    def _end(self, service: FakeService, exit_: Exit) -> Exit:
        service.processes = []
        if service.ended is not None and not service.ended.done():
            service.ended.set_result(exit_)
        return exit_

    def _obey(self, service: FakeService, target: Target, signal: int) -> None:
        states: Mapping[int, str] = {SIGSTOP: "T", SIGCONT: "S"}
        if signal in states:
            first = 1 if target.child else 0
            service.processes[first:] = [
                Process(pid=p.pid, born=p.born, state=states[signal], command=p.command)
                for p in service.processes[first:]
            ]
        elif not target.child:
            code = None if signal == SIGKILL else 0
            self._end(service, Exit(code=code, signal="SIGKILL" if signal == SIGKILL else ""))
        else:
            again = [self._process(service.spec.child)] if self.supervised else []
            service.processes[1:] = again


class FakeScene:
    """The smallest scene a fault can be injected into: services, on whatever hosts."""

    def __init__(
        self,
        hosts: Hosts,
        clock: Clock,
        services: Sequence[Service],
        ready: Callable[[Target], None] | None = None,
    ) -> None:
        self.hosts = hosts
        self.clock = clock
        self._services = {service.spec.name: service for service in services}
        self._ready = ready

    def targets(self, name: str) -> Sequence[Target]:
        if name in self._services:
            return (Target(service=name),)
        service, _, child = name.partition(".")
        if child:
            return (Target(service=service, child=True),)
        return tuple(Target(service=s.spec.name) for s in self._services.values() if s.spec.host == name)

    def spec(self, service: str) -> ServiceSpec:
        return self._services[service].spec

    def service(self, name: str) -> Service:
        return self._services[name]

    async def until_ready(self, target: Target) -> str:
        from harness.readiness import wait_ready

        if self._ready is not None:
            self._ready(target)
            return "the test says so"
        service = self._services[target.service]
        return await wait_ready(service, service.spec, clock=self.clock)
