"""What a hosts kind is: where hosts come from, and what can be done to them.

Required is little: hosts with addresses, services that start and stop. Every further ability is a protocol of
its own; a step that needs one which is missing is *not applicable* with the reason `cannot` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

from harness.errors import NotApplicable

if TYPE_CHECKING:
    from harness.artifacts import ScenarioDirectory
    from harness.clock import Clock
    from harness.history import History
    from harness.model import ServiceSpec, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a service's main process ended."""

    code: int | None
    signal: str = ""

    def __str__(self) -> str:
        return f"killed by {self.signal}" if self.signal else f"exit code {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of a service; `born` tells a reused pid apart; `state` is /proc's letter."""

    pid: int
    born: int
    state: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a fault hits: a service, its child (`child=True`), given with the host it is on."""

    service: str
    child: bool = False

    def __str__(self) -> str:
        return f"{self.service} (its child)" if self.child else self.service


class Service(Protocol):
    """A service of a running deployment."""

    spec: ServiceSpec
    address: str
    log: Path | None
    log_from: int
    """Where in the log, in bytes, the present start of the service begins."""

    @property
    def alive(self) -> bool:
        """Whether its main process runs (for services the harness did not start: true)."""

    async def exited(self) -> Exit:
        """Wait until its main process has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What a hosts kind may use while a run lives."""

    run: str
    directory: ScenarioDirectory
    history: History
    clock: Clock
    root: Path
    """Folder of the scenario file: relative paths in commands start here."""


class Hosts(Protocol):
    """The running hosts of one deployment."""

    kind: ClassVar[str]
    cannot: Mapping[str, str]
    """Ability (name of a protocol below) -> why these hosts lack it."""

    addresses: Mapping[str, str]
    """Host name -> address."""

    @classmethod
    def open(cls, topology: Topology, workspace: Workspace) -> AbstractAsyncContextManager[Self]:
        """Entering leases addresses, leaving gives everything back and proves that nothing is left."""

    def service(self, spec: ServiceSpec) -> AbstractAsyncContextManager[Service]:
        """Start a service (its strings resolved); leaving stops it and everything it started."""


@runtime_checkable
class Signals(Protocol):
    """Hosts on which processes can be seen and signalled."""

    async def processes(self, target: Target) -> Sequence[Process]:
        """The target's live processes (zombies are not live), main process first."""

    async def signal(self, target: Target, signal: int) -> Sequence[Process]:
        """Signal all of the target's processes; returns those that were signalled."""


@runtime_checkable
class Starts(Protocol):
    """Hosts on which a service can be started again and stopped."""

    async def start(self, service: str) -> None:
        """Start a service that is down; waits until it runs, not until it is ready."""

    async def stop(self, service: str, within: float | None = None) -> Exit:
        """Ask a service to end (SIGTERM), bounded by `within` or its `stop_within`, then force it (SIGKILL).

        EnvironmentFailure when even that leaves something alive.
        """


@runtime_checkable
class ShapesNetwork(Protocol):
    """Hosts between which traffic can be cut, slowed or lost."""

    async def cut(self, one: Sequence[str], other: Sequence[str]) -> None:
        """Drop every packet between two groups of hosts, established connections included."""

    async def mend(self, one: Sequence[str], other: Sequence[str]) -> None:
        """Undo `cut`."""

    def apart(self, one: str, other: str) -> bool:
        """Whether two hosts are cut from each other now, going by what was asked."""

    async def reaches(self, host: str, others: Sequence[str]) -> Mapping[str, bool]:
        """Which of the other hosts a host can reach, going by a connection it tries to make to each."""

    async def dropped(self, host: str) -> tuple[int, int]:
        """How many packets `cut` has dropped at that host since, coming in and going out."""

    async def within_reach(self, host: str) -> bool:
        """Whether the harness itself can reach a host."""


def signals(hosts: Hosts) -> Signals:
    """These hosts as ones whose processes can be signalled; NotApplicable where they cannot."""
    if isinstance(hosts, Signals):
        return hosts
    raise _lacks(hosts, "Signals")


def starts(hosts: Hosts) -> Starts:
    """These hosts as ones whose services can be started and stopped; NotApplicable where they cannot."""
    if isinstance(hosts, Starts):
        return hosts
    raise _lacks(hosts, "Starts")


def shapes_network(hosts: Hosts) -> ShapesNetwork:
    """These hosts as ones whose network can be cut; NotApplicable where it cannot."""
    if isinstance(hosts, ShapesNetwork):
        return hosts
    raise _lacks(hosts, "ShapesNetwork")


def _lacks(hosts: Hosts, ability: str) -> NotApplicable:
    return NotApplicable(hosts.cannot.get(ability, f"{hosts.kind} hosts lack the ability {ability}"))
