"""How the harness itself reaches the hosts of a deployment: over their bridge, or through a relay on it.

`MUSTER_CONTROL` says which (`bridge`, `relay`); left out, it is the bridge where that is an interface of this
machine: not where the engine is on another one, or in a virtual one, nor for muster in a container.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from harness.errors import EnvironmentFailure
from harness.hosts.network import is_here
from harness.hosts.relay import LOOPBACK, Detour, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.hosts.engine import Engine

VARIABLE = "MUSTER_CONTROL"
AUTO, BRIDGE, RELAY = "auto", "bridge", "relay"


class Control(Protocol):
    """A way to the hosts. Faults never cut it: packets from and to `address` always pass."""

    address: str

    def near(self, address: str) -> str:
        """The address at which programs of this machine find a host's ports, which are others there."""

    def way_to(self, address: str, port: int) -> tuple[str, int]:
        """Where programs of this machine that do not use asyncio reach a port of a host."""

    async def close(self) -> None:
        """It is not needed any more."""


class Bridge:
    """Straight over the bridge: the harness is its gateway."""

    def __init__(self, block: str) -> None:
        self.address = f"{block}.1"

    def near(self, address: str) -> str:
        return address

    def way_to(self, address: str, port: int) -> tuple[str, int]:
        return address, port

    async def close(self) -> None:
        """The bridge goes with the network."""


class Relayed:
    """Through a relay, which all of this loop's connections to the hosts use."""

    def __init__(self, relay: Relay, block: str, address: str) -> None:
        self.address = address
        self._relay = relay
        self._detour = Detour(relay, block)

    def near(self, address: str) -> str:
        return LOOPBACK

    def way_to(self, address: str, port: int) -> tuple[str, int]:
        return self._relay.way_to(address, port)

    async def begin(self) -> None:
        """From now on."""
        await self._detour.begin()

    async def close(self) -> None:
        self._detour.end()
        await self._relay.close()


async def control_of(
    engine: Engine, block: str, *, name: str, labels: Mapping[str, str], lost: Callable[[], None]
) -> Control:
    """The way that is asked for, or that works; `lost` is called when it fails afterwards."""
    asked = os.environ.get(VARIABLE) or AUTO
    if asked not in {AUTO, BRIDGE, RELAY}:
        msg = f"{VARIABLE} is '{asked}': it can be {AUTO}, {BRIDGE} or {RELAY}"
        raise EnvironmentFailure(msg)
    if asked == BRIDGE or (asked == AUTO and is_here(block)):
        return Bridge(block)
    address = f"{block}.2"
    relay = await Relay.open(
        engine, name=f"{name}.relay", network=name, address=address, labels=labels, lost=lost
    )
    control = Relayed(relay, block, address)
    await control.begin()
    return control
