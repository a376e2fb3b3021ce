"""Hosts as loopback addresses, services as process groups: no root, no images. Linux only."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal as signals
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from harness import journal, ports
from harness import processes as proc
from harness.errors import EnvironmentFailure, HarnessBug
from harness.events import HostDown, HostUp, Note, ServiceExited, ServiceStarting
from harness.guard import guarded
from harness.hosts.base import Exit, Process
from harness.hosts.program import Program, Start, start_program
from harness.leases import lease_addresses
from harness.logtail import last_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from harness.hosts.base import Target, Workspace
    from harness.journal import Journal
    from harness.model import ServiceSpec, Topology

ENDING = frozenset({signals.SIGKILL, signals.SIGTERM, signals.SIGINT, signals.SIGQUIT, signals.SIGHUP})
_KILL_WITHIN = 5.0
_PASSED_ON = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class ProcessService:
    """A service as a process group; a new start makes a new `program`."""

    def __init__(self, spec: ServiceSpec, address: str, log: Path) -> None:
        self.spec = spec
        self.address = address
        self.log: Path | None = log
        self.log_from = 0
        self.program: Program | None = None
        self.known: set[tuple[int, int]] = set()
        """Pid and birth of every process that was ever seen to belong to it."""

    @property
    def alive(self) -> bool:
        return self.program is not None and not self.program.ended.done()

    async def exited(self) -> Exit:
        if self.program is None:
            msg = f"{self.spec.name} was waited for before it was started"
            raise HarnessBug(msg)
        return await asyncio.shield(self.program.ended)


class ProcessHosts:
    """Hosts are loopback addresses of their own (127.x.y.z), services process groups bound to them.

    The embedded default where no container engine answers: no root, no images, Linux only. A service binds
    `{host.address}`, never 0.0.0.0, so that two hosts can use the same port. When a service's main process
    ends, what it left running is ended too, as in a container. Hosts share a loopback: nothing can be cut.
    """

    kind: ClassVar[str] = "process"
    cannot: Mapping[str, str] = MappingProxyType(
        {
            "ShapesNetwork": "process hosts share one loopback; "
            "cutting traffic needs docker hosts (--hosts docker)"
        }
    )

    def __init__(
        self, workspace: Workspace, addresses: Mapping[str, str], kept: Journal, deployment: str
    ) -> None:
        self.addresses = addresses
        self._workspace = workspace
        self._journal = kept
        self._deployment = deployment
        self._label = f"{journal.DEPLOYMENT}={deployment}".encode()
        self._services: dict[str, ProcessService] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, topology: Topology, workspace: Workspace) -> AsyncIterator[ProcessHosts]:
        """Lease an address per host, set the reaper on watch; leaving ends all that the deployment runs."""
        if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
            msg = f"process hosts need Linux 5.3 or newer, this is {sys.platform}; use --hosts docker"
            raise EnvironmentFailure(msg)
        lease = lease_addresses(len(topology.hosts))
        try:
            addresses = {host.name: lease.address(number) for number, host in enumerate(topology.hosts)}
            deployment = f"{lease.block}-{secrets.token_hex(6)}"
            async with guarded(
                workspace.directory.path / journal.NAME,
                run=workspace.run,
                deployment=deployment,
                kinds=("process",),
                leases=(lease.fileno(),),
            ) as kept:
                hosts = cls(workspace, addresses, kept, deployment)
                async with hosts._up():
                    yield hosts
        finally:
            lease.release()

    @asynccontextmanager
    async def _up(self) -> AsyncIterator[None]:
        for host, address in self.addresses.items():
            self._workspace.history.append(HostUp(host=host, address=address))
        try:
            yield
        finally:
            known = {identity for service in self._services.values() for identity in service.known}
            await self._end_all((self._label,), known, "the deployment")
        for host in self.addresses:
            self._workspace.history.append(HostDown(host=host))

    @asynccontextmanager
    async def service(self, spec: ServiceSpec) -> AsyncIterator[ProcessService]:
        """Start a service; leaving stops it and everything it started."""
        try:
            log = self._workspace.directory.log(spec.host, spec.name)
        except OSError as error:
            msg = f"{spec.name} cannot have a log: {error.strerror}: {error.filename}"
            raise EnvironmentFailure(msg) from error
        if spec.resources is not None:
            note = f"{spec.name} is not limited to its resources: process hosts cannot, --hosts docker can"
            self._workspace.history.append(Note(text=note))
        service = ProcessService(spec, self.addresses[spec.host], log)
        self._services[spec.name] = service
        try:
            self._start(service)
            yield service
        finally:
            try:
                await self._stop(service, spec.stop_within)
            finally:
                await self._end_all(self._labels(service), service.known, spec.name)

    async def start(self, service: str) -> None:
        """Start a service that is down; waits until it runs, not until it is ready."""
        found = self._services[service]
        if found.alive:
            msg = f"{service} cannot be started: it already runs"
            raise EnvironmentFailure(msg)
        self._start(found)

    async def stop(self, service: str, within: float | None = None) -> Exit:
        """SIGTERM to its process group, then SIGKILL to all that is left after `within` seconds."""
        found = self._services[service]
        await self._stop(found, found.spec.stop_within if within is None else within)
        return await found.exited()

    async def processes(self, target: Target) -> Sequence[Process]:
        """The target's live processes, main process first."""
        service = self._services[target.service]
        main = service.program.identity if service.program else None
        family = sorted(self._family(service), key=lambda stat: stat.identity != main)
        return [
            Process(pid=stat.pid, born=stat.born, state=stat.state, command=proc.command(stat.pid))
            for stat in family
            if not (target.child and stat.identity == main)
        ]

    async def signal(self, target: Target, signal: int) -> Sequence[Process]:
        """Signal all of the target's processes, also those that appear meanwhile."""
        program = self._services[target.service].program
        if program is not None and signal in ENDING and not target.child:
            program.expected = True
        # A child that was ended may be started again at once by its parent: that one is not to be hit.
        again = not (target.child and signal in ENDING)
        hit: dict[tuple[int, int], Process] = {}
        while found := [p for p in await self.processes(target) if (p.pid, p.born) not in hit]:
            for process in found:
                hit[process.pid, process.born] = process
                proc.send_signal(process.pid, process.born, signal)
            if not again:
                break
        return list(hit.values())

    def _start(self, service: ProcessService) -> None:
        spec = service.spec
        for port in spec.ports:
            if not ports.is_free(service.address, port):
                where = f"port {port} of {spec.host} ({service.address})"
                msg = f"{spec.name} cannot start: {where} is taken by {ports.holder(service.address, port)}"
                raise EnvironmentFailure(msg)
        try:
            start = self._prepare(service)
            service.log_from = start.log.stat().st_size if start.log.exists() else 0
            self._journal.intend({"service": spec.name, "host": spec.host})
        except OSError as error:
            msg = f"{spec.name} cannot start: {error.strerror}: {error.filename or 'the journal'}"
            raise EnvironmentFailure(msg) from error
        program = service.program = start_program(start)
        service.known.add(program.identity)
        self._journal.note({"pid": program.pid, "born": program.born, "service": spec.name})
        self._workspace.history.append(
            ServiceStarting(
                service=spec.name,
                host=spec.host,
                command=spec.command,
                pid=program.pid,
                log=os.path.relpath(start.log, self._workspace.directory.path),
            )
        )
        program.watch(lambda exit_: self._on_exit(service, program, exit_))

    def _prepare(self, service: ProcessService) -> Start:
        spec, log = service.spec, service.log
        if not spec.command or log is None:
            msg = f"{spec.name} has no command, which process hosts need: state one, or use --hosts docker"
            raise EnvironmentFailure(msg)
        folder = self._workspace.directory.workdir(spec.host, spec.name)
        _write_files(folder, spec)
        program = spec.command[0]
        if "/" in program:
            program = os.fspath(self._workspace.root / program)
        return Start(
            service=spec.name,
            command=(program, *spec.command[1:]),
            env=self._environment(spec),
            folder=folder,
            log=log,
        )

    def _environment(self, spec: ServiceSpec) -> dict[str, str]:
        own = os.path.dirname(sys.executable)  # noqa: PTH120  # a path as text is what PATH holds
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "PATH": os.pathsep.join((own, os.environ.get("PATH", os.defpath))),
            "PYTHONUNBUFFERED": "1",
            **spec.env,
            journal.RUN: self._workspace.run,
            journal.SERVICE: spec.name,
            journal.DEPLOYMENT: self._deployment,
        }

    def _on_exit(self, service: ProcessService, program: Program, exit_: Exit) -> None:
        for stat in self._family(service):
            proc.send_signal(stat.pid, stat.born, signals.SIGKILL)
        self._workspace.history.append(
            ServiceExited(
                service=service.spec.name,
                host=service.spec.host,
                code=exit_.code,
                signal=exit_.signal,
                expected=program.expected,
                last_lines=last_lines(service.log, service.log_from),
            )
        )

    async def _stop(self, service: ProcessService, within: float) -> None:
        program = service.program
        if program is None:
            return
        self._family(service)
        program.ask_to_end()
        await asyncio.wait([program.ended], timeout=within)
        await self._end_all(self._labels(service), service.known, service.spec.name)
        await program.ended

    async def _end_all(self, labels: Sequence[bytes], roots: AbstractSet[tuple[int, int]], what: str) -> None:
        """SIGKILL to all that carry the labels, until none is left."""
        clock = self._workspace.clock
        until = clock.monotonic() + _KILL_WITHIN
        pause = 0.002
        while found := proc.family(labels, roots):
            if clock.monotonic() > until:
                left = ", ".join(f"pid {s.pid} (state {s.state}, {proc.command(s.pid)})" for s in found)
                msg = f"{what} could not be ended: {left}"
                raise EnvironmentFailure(msg)
            for stat in found:
                proc.send_signal(stat.pid, stat.born, signals.SIGKILL)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)

    def _family(self, service: ProcessService) -> list[proc.Stat]:
        found = proc.family(self._labels(service), service.known)
        service.known.update(stat.identity for stat in found)
        return found

    def _labels(self, service: ProcessService) -> Sequence[bytes]:
        return self._label, f"{journal.SERVICE}={service.spec.name}".encode()


def _write_files(folder: Path, spec: ServiceSpec) -> None:
    for name, content in spec.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            msg = f"{spec.name}: the file '{name}' would be outside of the service's folder"
            raise EnvironmentFailure(msg)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(content, encoding="utf-8")
