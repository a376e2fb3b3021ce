"""Hosts as sandbox containers on a network of their own, services as containers that join them."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal as signals
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from harness import journal, reaper
from harness.containers import LABEL, MACHINE, RUN_LABEL, machine
from harness.errors import EnvironmentFailure
from harness.events import HostDown, HostUp, Note, ServiceExited, ServiceStarting
from harness.guard import guarded
from harness.hosts.base import Process
from harness.hosts.container import ContainerService
from harness.hosts.control import Bridge, Control, control_of
from harness.hosts.engine import LOST, Engine, connect, have_images
from harness.hosts.network import make_network
from harness.hosts.process import ENDING
from harness.hosts.relay import LOST as RELAY_LOST
from harness.hosts.sandbox import IMAGE as SANDBOX_IMAGE
from harness.hosts.sandbox import Sandbox
from harness.hosts.sandbox_agent import PROBED_PORT
from harness.logtail import last_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from harness.hosts.base import Exit, Target, Workspace
    from harness.model import ServiceSpec, Topology

IMAGE = os.environ.get("MUSTER_IMAGE", "muster-system:local")
_FIRST_HOST = 10
_KILL_WITHIN = 10.0
_PROBE_WITHIN = 0.1
_REACHED_WITHIN = 2.0


class DockerHosts:
    """Hosts are sandbox containers with one address each, services containers that join their host's sandbox.

    Services of a host share its address, its ports and its processes, as on a machine; two hosts can use the
    same port, and the cable between them can be cut. Nothing is published; the harness uses the bridge, or a
    relay where it cannot.
    """

    kind: ClassVar[str] = "docker"
    cannot: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, engine: Engine, workspace: Workspace, deployment: str, block: str, labels: Mapping[str, str]
    ) -> None:
        self.addresses: Mapping[str, str] = {}
        self._engine = engine
        self._workspace = workspace
        self._deployment = deployment
        self._labels = labels
        self._block = block
        self._numbers = itertools.count(_FIRST_HOST)
        self.control: Control = Bridge(block)
        self._sandboxes: dict[str, Sandbox] = {}
        self._services: dict[str, ContainerService] = {}
        self._cuts: list[tuple[frozenset[str], frozenset[str]]] = []
        self._noting: set[asyncio.Task[None]] = set()
        self._stop_watching: Callable[[], None] = _nothing

    @classmethod
    @asynccontextmanager
    async def open(cls, topology: Topology, workspace: Workspace) -> AsyncIterator[DockerHosts]:
        """Make network and sandboxes, the reaper on watch; leaving removes all of it and proves that."""
        path = workspace.directory.path / journal.NAME
        async with AsyncExitStack() as stack:
            engine = await connect()
            stack.callback(engine.close)
            await have_images(engine, {SANDBOX_IMAGE, *(s.image or IMAGE for s in topology.services)})
            deployment = secrets.token_hex(6)
            await stack.enter_async_context(
                guarded(
                    path, run=workspace.run, deployment=deployment, kinds=("docker",), engine=engine.named
                )
            )
            stack.push_async_callback(_remove_all, path, engine)
            labels = {LABEL: deployment, RUN_LABEL: workspace.run, MACHINE: machine()}
            block = await make_network(engine, f"muster-{deployment}", labels)
            hosts = cls(engine, workspace, deployment, block, labels)
            stack.push_async_callback(hosts._close)
            await hosts._up(topology)
            yield hosts

    async def _up(self, topology: Topology) -> None:
        names = [host.name for host in topology.hosts]
        self.addresses = {name: self._next_address() for name in names}
        self._stop_watching = self._engine.watch(f"{LABEL}={self._deployment}", self._heard, self._lost)
        await all_of(self._take_control(), *(self._sandbox(name) for name in names))
        for name in names[:1]:
            if not await self.within_reach(name):
                msg = (
                    f"containers cannot be reached from here ({self.addresses[name]}, engine "
                    f"{self._engine.url}): try MUSTER_CONTROL=relay, or use --hosts process"
                )
                raise EnvironmentFailure(msg)
        for name in names:
            self._workspace.history.append(HostUp(host=name, address=self.addresses[name]))

    async def _take_control(self) -> None:
        self.control = await control_of(
            self._engine,
            self._block,
            name=f"muster-{self._deployment}",
            labels={**self._labels},
            lost=self._blinded,
        )

    def _blinded(self) -> None:
        self._workspace.history.lose(f"{RELAY_LOST}: nothing is certain from then on")

    @asynccontextmanager
    async def host(self, name: str) -> AsyncIterator[Sandbox]:
        """One more host, with an address and a cable of its own; leaving removes it."""
        if name in self.addresses:
            msg = f"there is a host called {name} already"
            raise EnvironmentFailure(msg)
        self.addresses = {**self.addresses, name: self._next_address()}
        try:
            await self._sandbox(name)
            self._workspace.history.append(HostUp(host=name, address=self.addresses[name]))
            yield self._sandboxes[name]
        finally:
            self.addresses = {other: at for other, at in self.addresses.items() if other != name}
            sandbox = self._sandboxes.pop(name, None)
            if sandbox is not None:
                await self._remove(sandbox)
                self._workspace.history.append(HostDown(host=name))

    def labels(self, host: str) -> dict[str, str]:
        """What a container of that host is known by as the deployment's."""
        return {**self._labels, "muster.host": host}

    def _next_address(self) -> str:
        return f"{self._block}.{next(self._numbers)}"

    async def _sandbox(self, host: str) -> None:
        sandbox = self._sandboxes[host] = await Sandbox.create(
            self._engine,
            host,
            name=f"muster-{self._deployment}-{host}",
            network=f"muster-{self._deployment}",
            address=self.addresses[host],
            labels=self.labels(host),
        )
        await sandbox.start()

    async def _close(self) -> None:
        self._stop_watching()
        for task in self._noting:
            task.cancel()
        await asyncio.gather(*(self._remove(sandbox) for sandbox in self._sandboxes.values()))
        await self.control.close()
        for name in self.addresses:
            self._workspace.history.append(HostDown(host=name))

    async def _remove(self, sandbox: Sandbox) -> None:
        await sandbox.close()
        with suppress(EnvironmentFailure):  # what is left is looked for afterwards
            await self._engine.call(self._engine.api.remove_container, sandbox.container, v=True, force=True)

    @asynccontextmanager
    async def service(self, spec: ServiceSpec) -> AsyncIterator[ContainerService]:
        """Start a service; leaving stops and removes its container."""
        log = self._workspace.directory.log(spec.host, spec.name)
        service = ContainerService(spec, self._sandboxes[spec.host], log)
        self._services[spec.name] = service
        try:
            await service.create(
                self._engine,
                image=spec.image or IMAGE,
                name=f"muster-{self._deployment}-{spec.host}-{spec.name}",
                env=self._environment(spec),
                labels={**self.labels(spec.host), "muster.service": spec.name},
                root=self._workspace.root,
            )
            await self._start(service)
            yield service
        finally:
            if service.alive:
                await self._stop(service, spec.stop_within)
            await service.remove(self._engine)

    async def start(self, service: str) -> None:
        """Start a service that is down; waits until it runs, not until it is ready."""
        found = self._services[service]
        if found.alive:
            msg = f"{service} cannot be started: it already runs"
            raise EnvironmentFailure(msg)
        await self._start(found)

    async def stop(self, service: str, within: float | None = None) -> Exit:
        """SIGTERM to its main process, then SIGKILL to all of it after `within` seconds."""
        found = self._services[service]
        await self._stop(found, found.spec.stop_within if within is None else within)
        return await found.exited()

    async def processes(self, target: Target) -> Sequence[Process]:
        """The target's live processes, main process first; pids are those of the simulated host."""
        return _processes(await self._ask(target, "seen", child=target.child))

    async def signal(self, target: Target, signal: int) -> Sequence[Process]:
        """Signal all of the target's processes, also those that appear meanwhile."""
        if signal in ENDING and not target.child:
            self._services[target.service].expected = True
        again = not (target.child and signal in ENDING)
        return _processes(await self._ask(target, "hit", child=target.child, number=int(signal), again=again))

    async def cut(self, one: Sequence[str], other: Sequence[str]) -> None:
        """Drop every packet between two groups of hosts, in the sandboxes of the first."""
        self._cuts.append((frozenset(one), frozenset(other)))
        await self._filter(one)

    async def mend(self, one: Sequence[str], other: Sequence[str]) -> None:
        """Undo `cut`."""
        self._cuts.remove((frozenset(one), frozenset(other)))
        await self._filter(one)

    def apart(self, one: str, other: str) -> bool:
        """Whether two hosts are cut from each other now, going by what was asked."""
        return any((one in a and other in b) or (other in a and one in b) for a, b in self._cuts)

    async def reaches(self, host: str, others: Sequence[str]) -> Mapping[str, bool]:
        """Which of the other hosts a host can reach: they refuse a connection in time, or accept it."""
        addresses = {self.addresses[other]: other for other in others}
        found = await self._sandboxes[host].ask("probe", addresses=list(addresses), within=_PROBE_WITHIN)
        return {addresses[address]: reached for address, reached in found.items()}

    async def dropped(self, host: str) -> tuple[int, int]:
        """How many packets `cut` has dropped at that host since, coming in and going out."""
        coming, going = await self._sandboxes[host].ask("dropped")
        return coming, going

    async def within_reach(self, host: str) -> bool:
        """Whether the harness itself can reach a host."""
        try:
            async with asyncio.timeout(_REACHED_WITHIN):
                _, writer = await asyncio.open_connection(self.addresses[host], PROBED_PORT)
        except OSError as error:
            return isinstance(error, ConnectionRefusedError)
        writer.close()
        return True

    async def _filter(self, hosts: Sequence[str]) -> None:
        await asyncio.gather(
            *(
                self._sandboxes[host].ask(
                    "cut", addresses=self._cut_off(host), control=[self.control.address]
                )
                for host in hosts
            )
        )

    def _cut_off(self, host: str) -> list[str]:
        others = {other for one, rest in self._cuts if host in one for other in rest}
        return sorted(self.addresses[other] for other in others)

    async def _ask(self, target: Target, do: str, **options: Any) -> Any:
        service = self._services[target.service]
        label = f"{journal.DEPLOYMENT}={self._deployment}"
        return await service.sandbox.ask(do, service=target.service, labels=[label], **options)

    async def _start(self, service: ContainerService) -> None:
        spec = service.spec
        await service.start(self._engine)
        self._workspace.history.append(
            ServiceStarting(
                service=spec.name,
                host=spec.host,
                command=spec.command,
                log=os.path.relpath(service.log or "", self._workspace.directory.path),
            )
        )

    async def _stop(self, service: ContainerService, within: float) -> None:
        service.expected = True
        ended = asyncio.ensure_future(service.exited())
        with suppress(EnvironmentFailure):  # it has just ended by itself
            await self._engine.call(self._engine.api.kill, service.container, signals.SIGTERM)
            await service.sandbox.ask(
                "hit",
                service=service.spec.name,
                labels=[],
                child=False,
                number=int(signals.SIGCONT),
                again=False,
            )
        await asyncio.wait([ended], timeout=within)
        if not ended.done():
            with suppress(EnvironmentFailure):
                await self._engine.call(self._engine.api.kill, service.container, signals.SIGKILL)
            await asyncio.wait([ended], timeout=_KILL_WITHIN)
        if not ended.done():
            ended.cancel()
            msg = f"{service.spec.name} could not be ended: it still runs {_KILL_WITHIN:g} s after SIGKILL"
            raise EnvironmentFailure(msg)

    def _heard(self, event: Mapping[str, Any]) -> None:
        service = next((s for s in self._services.values() if s.container == event.get("id")), None)
        if service is None:
            return
        attributes = event["Actor"]["Attributes"]
        if event["Action"] == "oom":
            self._workspace.history.append(Note(text=f"{service.spec.name} ran out of the memory it may use"))
        elif event["Action"] == "die":
            task = asyncio.create_task(self._note_end(service, int(attributes["exitCode"])))
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)

    def _lost(self) -> None:
        self._workspace.history.append(Note(text=LOST))
        for service in self._services.values():
            service.lost()

    async def _note_end(self, service: ContainerService, code: int) -> None:
        expected = service.expected
        exit_ = await service.ended(code)
        if exit_ is None:
            return
        self._workspace.history.append(
            ServiceExited(
                service=service.spec.name,
                host=service.spec.host,
                code=exit_.code,
                signal=exit_.signal,
                expected=expected,
                last_lines=last_lines(service.log, service.log_from),
            )
        )

    def _environment(self, spec: ServiceSpec) -> dict[str, str]:
        return {
            "PYTHONUNBUFFERED": "1",
            **spec.env,
            journal.RUN: self._workspace.run,
            journal.SERVICE: spec.name,
            journal.DEPLOYMENT: self._deployment,
        }


async def _remove_all(path: Path, engine: Engine) -> None:
    journaled = journal.read_journal(os.fspath(path))._replace(engine=engine.place)
    _, left = await asyncio.to_thread(reaper.reap, journaled, _KILL_WITHIN)
    if left:
        msg = f"could not be removed: {', '.join(left)}; the reaper goes on trying"
        raise EnvironmentFailure(msg)


async def all_of(*doing: Awaitable[None]) -> None:
    """Wait for all, also after one has failed: what is removed afterwards has to be there."""
    for result in await asyncio.gather(*doing, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _nothing() -> None:
    """There is nothing to stop yet."""


def _processes(found: Sequence[Sequence[Any]]) -> list[Process]:
    return [Process(pid=pid, born=born, state=state, command=command) for pid, born, state, command in found]
