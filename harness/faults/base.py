"""What a fault is: a disturbance with a start, a proof of its effect, an end, and a proof that it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from harness.errors import MusterError

if TYPE_CHECKING:
    from harness.clock import Clock
    from harness.hosts.base import Hosts, Service, Target
    from harness.model import ServiceSpec


class NoReceipt(MusterError):
    """The fault, or its end, could not be proven: whatever follows is unknown."""


@dataclass(slots=True)
class Receipt:
    """The proof of a fault, line by line; healing adds its own lines on leaving."""

    effect: tuple[str, ...] = ()
    healed: tuple[str, ...] = ()


class Scene(Protocol):
    """What a fault may touch."""

    hosts: Hosts
    clock: Clock

    def targets(self, name: str) -> Sequence[Target]:
        """What a name stands for: a service, `service.child`, or all services of a host."""

    def spec(self, service: str) -> ServiceSpec:
        """The resolved spec of a service."""

    def service(self, name: str) -> Service:
        """The running service."""

    async def until_ready(self, target: Target) -> str:
        """Wait until the target's readiness condition holds again; returns how that was seen."""


@runtime_checkable
class Lints(Protocol):
    """A fault that can see before the start that it cannot be done."""

    def lint(self, services: Sequence[ServiceSpec]) -> Sequence[str]:
        """Mistakes, as sentences; `services` are those of the topology."""


class Fault(Protocol):
    """Frozen options, the first being the target; entering does and proves, leaving heals and proves.

    Entering raises NoReceipt when the effect cannot be seen and NotApplicable when the hosts lack an ability;
    leaving raises NoReceipt when the healing cannot be seen. `needs` names that ability (a protocol of
    hosts.base).
    """

    @property
    def target(self) -> str:
        """Whom it hits, as written in the scenario."""

    @property
    def needs(self) -> str:
        """The ability it asks of the hosts."""

    def inject(self, scene: Scene) -> AbstractAsyncContextManager[Receipt]:
        """The fault, from its start to its proven end."""
