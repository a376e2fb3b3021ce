"""What every hosts kind promises, whichever it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from harness.errors import NotApplicable
from harness.events import HostUp
from harness.history import of
from harness.hosts import HOSTS, base
from harness.hosts.base import Exit, Hosts, Service, Target, Workspace
from harness.model import HostSpec, Topology
from harness.testing import HERE, FakeHosts, service_spec, workspace_in

NEEDS_ENGINE = {"docker": [pytest.mark.docker]}
KINDS = [
    *(pytest.param(HOSTS[kind], id=kind, marks=NEEDS_ENGINE.get(kind, [])) for kind in HOSTS),
    pytest.param(FakeHosts, id="fake"),
]
ABILITIES = {"Signals": base.signals, "Starts": base.starts, "ShapesNetwork": base.shapes_network}
SPEC = service_spec(
    "a", command=("python3", "-S", "-c", "import time; time.sleep(60)"), url="http://127.77.4.2"
)
TOPOLOGY = Topology(
    hosts=(
        HostSpec(name="server1", place=HERE, services=(SPEC,), address="127.77.4.2"),
        HostSpec(name="server2", place=HERE, address="127.77.4.3"),
    )
)

each_kind = pytest.mark.parametrize("kind", KINDS)


def with_service(kind: type[Hosts], folder: Path, body: Any) -> Workspace:
    """Run `body(hosts, service)` with one service on the first of two hosts."""

    async def main() -> Workspace:
        workspace = workspace_in(folder)
        async with kind.open(TOPOLOGY, workspace) as hosts, hosts.service(SPEC) as service:
            await body(hosts, service)
        return workspace

    return asyncio.run(main())


@each_kind
def test_every_host_has_one_address_of_its_own(kind: type[Hosts], tmp_path: Path) -> None:
    """All hosts of the topology are there, each with another address, which its services know."""

    async def body(hosts: Hosts, service: Service) -> None:
        assert list(hosts.addresses) == ["server1", "server2"]
        assert len(set(hosts.addresses.values())) == 2
        assert service.address == hosts.addresses["server1"]

    with_service(kind, tmp_path, body)


@each_kind
def test_what_it_lacks_it_gives_the_reason_for(kind: type[Hosts], tmp_path: Path) -> None:
    """Every ability is either there or missing with a sentence."""

    async def body(hosts: Hosts, service: Service) -> None:
        for name, ability in ABILITIES.items():
            if isinstance(hosts, getattr(base, name)):
                assert ability(hosts) is hosts
                assert name not in hosts.cannot
            else:
                with pytest.raises(NotApplicable) as caught:
                    ability(hosts)
                assert str(caught.value) == hosts.cannot[name]
                assert len(hosts.cannot[name].split()) > 3

    with_service(kind, tmp_path, body)


@each_kind
def test_a_service_is_alive_while_it_is_entered(kind: type[Hosts], tmp_path: Path) -> None:
    """A service that was entered is alive, and carries the spec it was entered with."""

    async def body(hosts: Hosts, service: Service) -> None:
        assert service.alive
        assert service.spec is SPEC
        assert service.log_from == 0

    with_service(kind, tmp_path, body)


@each_kind
def test_hosts_that_start_services_also_stop_them(kind: type[Hosts], tmp_path: Path) -> None:
    """Stopped: not alive, exit known, no process left. Started again: alive, with other processes."""

    async def body(hosts: Hosts, service: Service) -> None:
        if not isinstance(hosts, base.Starts) or not isinstance(hosts, base.Signals):
            return
        before = await hosts.processes(Target(service="a"))
        ended = await hosts.stop("a")
        assert isinstance(ended, Exit)
        assert not service.alive
        assert await service.exited() == ended
        assert not await hosts.processes(Target(service="a"))
        await hosts.start("a")
        after = await hosts.processes(Target(service="a"))
        assert service.alive
        assert after
        assert {(p.pid, p.born) for p in before}.isdisjoint((p.pid, p.born) for p in after)

    with_service(kind, tmp_path, body)


@each_kind
def test_hosts_that_signal_can_freeze_and_kill(kind: type[Hosts], tmp_path: Path) -> None:
    """SIGSTOP shows as state T, SIGCONT undoes it, SIGKILL ends the service; each says whom it hit."""

    async def body(hosts: Hosts, service: Service) -> None:
        if not isinstance(hosts, base.Signals):
            return
        target = Target(service="a")
        before = await hosts.processes(target)
        assert [p.pid for p in await hosts.signal(target, 19)] == [p.pid for p in before]
        await state_of(hosts, target, paused=True)
        await hosts.signal(target, 18)
        await state_of(hosts, target, paused=False)
        await hosts.signal(target, 9)
        assert (await asyncio.wait_for(service.exited(), 5)).signal == "SIGKILL"
        assert not service.alive

    with_service(kind, tmp_path, body)


async def state_of(hosts: base.Signals, target: Target, *, paused: bool) -> None:
    async with asyncio.timeout(5):
        while any((p.state == "T") != paused for p in await hosts.processes(target)):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.id != "fake"])
def test_hosts_announce_themselves(kind: type[Hosts], tmp_path: Path) -> None:
    """Each host's address is in the history before any service."""

    async def body(hosts: Hosts, service: Service) -> None:
        pass

    workspace = with_service(kind, tmp_path, body)
    ups = [event.host for _, event in of(workspace.history.records, HostUp)]
    assert ups == ["server1", "server2"]
    assert isinstance(workspace.history.records[0].event, HostUp)


@pytest.mark.parametrize("kind", list(HOSTS))
def test_it_is_documented_and_named_as_in_the_table(kind: str) -> None:
    """A hosts kind knows its own name and says in its docstring what it is."""
    assert HOSTS[kind].kind == kind
    assert len(HOSTS.about(kind).split()) > 5
