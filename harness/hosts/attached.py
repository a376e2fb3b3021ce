"""Hosts that are already there: nothing is started, stopped or disturbed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from harness.events import HostUp
from harness.hosts.base import Exit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from harness.hosts.base import Workspace
    from harness.model import ServiceSpec, Topology


class AttachedService:
    """A service that somebody else runs: taken to be alive, its end never seen."""

    def __init__(self, spec: ServiceSpec, address: str) -> None:
        self.spec = spec
        self.address = address
        self.log: Path | None = None
        self.log_from = 0

    @property
    def alive(self) -> bool:
        return True

    async def exited(self) -> Exit:
        await asyncio.Event().wait()
        return Exit(code=None)


class AttachedHosts:
    """Hosts are servers that already run, given by address or inventory; they are only observed.

    Whatever needs control of them (faults, starting, stopping) is not-applicable.
    """

    kind: ClassVar[str] = "attached"
    cannot: Mapping[str, str] = MappingProxyType(
        {
            "Signals": "attached servers are only observed; faults need hosts that muster starts "
            "(--hosts process or docker)",
            "Starts": "attached servers are only observed; starting and stopping services needs hosts that "
            "muster starts (--hosts process or docker)",
            "ShapesNetwork": "attached servers are only observed; cutting traffic needs docker hosts "
            "(--hosts docker)",
        }
    )

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = addresses

    @classmethod
    @asynccontextmanager
    async def open(cls, topology: Topology, workspace: Workspace) -> AsyncIterator[AttachedHosts]:
        """Take the addresses as they are stated."""
        hosts = cls({host.name: host.address for host in topology.hosts})
        for host, address in hosts.addresses.items():
            workspace.history.append(HostUp(host=host, address=address))
        yield hosts

    @asynccontextmanager
    async def service(self, spec: ServiceSpec) -> AsyncIterator[AttachedService]:
        """The service as it runs; its address is its host's, or its url's where that is not stated."""
        yield AttachedService(spec, self.addresses.get(spec.host) or urlsplit(spec.url).hostname or "")
