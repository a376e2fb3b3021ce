"""Hosts that already run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.errors import NotApplicable
from harness.events import HostUp
from harness.hosts import base
from harness.hosts.attached import AttachedHosts
from harness.hosts.base import Hosts
from harness.model import HostSpec, Topology
from harness.testing import HERE, service_spec, workspace_in


def test_services_are_where_they_are_stated_to_be(tmp_path: Path) -> None:
    """A host's address is the stated one; without one, a service is where its url points."""

    async def main() -> list[str]:
        hosts = (
            HostSpec(name="server1", place=HERE, address="10.0.0.5"),
            HostSpec(name="server2", place=HERE),
        )
        workspace = workspace_in(tmp_path)
        async with (
            AttachedHosts.open(Topology(hosts=hosts), workspace) as attached,
            attached.service(service_spec("router", url="http://router.example:8000")) as one,
            attached.service(service_spec("c", "server2", url="http://10.0.0.6:8100")) as two,
        ):
            ups.extend(record.event for record in workspace.history.records)
            return [one.address, two.address]

    ups: list[object] = []
    assert asyncio.run(main()) == ["10.0.0.5", "10.0.0.6"]
    assert ups[0] == HostUp(host="server1", address="10.0.0.5")


def test_they_are_alive_and_never_seen_to_end(tmp_path: Path) -> None:
    """Nobody waits in vain for the harness to notice an end it cannot see: it is simply never announced."""

    async def main() -> bool:
        async with (
            AttachedHosts.open(Topology(hosts=()), workspace_in(tmp_path)) as attached,
            attached.service(service_spec("router")) as service,
        ):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(service.exited(), 0.01)
            return service.alive

    assert asyncio.run(main())


@pytest.mark.parametrize("ability", [base.signals, base.starts, base.shapes_network])
def test_every_ability_is_missing_with_its_reason(ability: object) -> None:
    """A fault on attached hosts is not-applicable, and says that they are only observed."""
    hosts: Hosts = AttachedHosts({})
    with pytest.raises(NotApplicable, match="attached servers are only observed"):
        ability(hosts)  # type: ignore[operator]
