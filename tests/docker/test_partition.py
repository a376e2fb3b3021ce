"""Cables between containers: cut, proven, plugged in again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.errors import NotApplicable
from harness.faults.base import NoReceipt
from harness.faults.partition import Partition
from harness.hosts.docker import DockerHosts
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import FakeScene, service_spec, topology_of, workspace_in

pytestmark = pytest.mark.docker

TALKER = """
import socket, sys, threading, time
def serve():
    listener = socket.create_server(("0.0.0.0", 7000))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=lambda: [connection.sendall(b) for b in iter(lambda: connection.recv(1), b"")]).start()
threading.Thread(target=serve, daemon=True).start()
print("up", flush=True)
time.sleep(100)
"""

PINGER = """
import socket, sys, time
line = socket.create_connection((sys.argv[1], 7000))
while True:
    line.sendall(b"x")
    print("echo", line.recv(1))
    time.sleep(0.01)
"""

Body = Callable[[FakeScene, DockerHosts], Awaitable[None]]


def on_hosts(folder: Path, body: Body, *names: str) -> None:
    """Run `body` with one echoing service on each of these hosts."""

    async def main() -> None:
        workspace = workspace_in(folder)
        command = ("python3", "-S", "-u", "-c", TALKER)
        specs = [service_spec(f"on-{name}", name, command=command, ready=Ready(log="up")) for name in names]
        async with AsyncExitStack() as stack:
            hosts = await stack.enter_async_context(DockerHosts.open(topology_of(*specs), workspace))
            services = [await stack.enter_async_context(hosts.service(spec)) for spec in specs]
            for service in services:
                await wait_ready(service, service.spec, clock=workspace.clock)
            await body(FakeScene(hosts, workspace.clock, services), hosts)

    asyncio.run(main())


async def pairs(hosts: DockerHosts) -> dict[str, bool]:
    """Which host reaches which: `a>b`."""
    names = list(hosts.addresses)
    found: dict[str, bool] = {}
    for name in names:
        others = [other for other in names if other != name]
        found |= {f"{name}>{other}": ok for other, ok in (await hosts.reaches(name, others)).items()}
    return found


async def echoes(hosts: DockerHosts, host: str) -> bool:
    """Whether the harness itself is answered by a host's service."""
    reader, writer = await asyncio.open_connection(hosts.addresses[host], 7000)
    writer.write(b"x")
    answer = await asyncio.wait_for(reader.read(1), 2)
    writer.close()
    return answer == b"x"


def test_a_host_is_cut_off_from_all_others_and_only_they(tmp_path: Path) -> None:
    """Both directions are cut, other pairs and the harness's own way are not; afterwards all is as before."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        assert all((await pairs(hosts)).values())
        async with Partition("a").inject(scene) as receipt:
            through = await pairs(hosts)
            assert {pair for pair, ok in through.items() if ok} == {"b>c", "c>b"}
            assert await echoes(hosts, "a")
        assert all((await pairs(hosts)).values())
        assert receipt.effect[0].startswith("a cut off from b, c after 0.")
        assert receipt.effect[1].startswith("0 of 4 probes through, packets dropped: ")
        assert receipt.effect[2] == "2 of 2 other pairs reach each other"
        assert receipt.healed[0].startswith("4 of 4 probes through after 0.")

    on_hosts(tmp_path, body, "a", "b", "c")


def test_a_group_and_a_single_cable(tmp_path: Path) -> None:
    """`with` keeps a group together, `from` cuts one cable only; faults may overlap."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        async with Partition("a", together_with=("b",)).inject(scene):
            assert {pair for pair, ok in (await pairs(hosts)).items() if ok} == {"a>b", "b>a"}
            async with Partition("c", apart_from=("a",)).inject(scene):
                pass
            assert not (await pairs(hosts))["a>c"]
        async with Partition("a", apart_from=("b",)).inject(scene):
            assert {pair for pair, ok in (await pairs(hosts)).items() if not ok} == {"a>b", "b>a"}

    on_hosts(tmp_path, body, "a", "b", "c")


def test_open_connections_are_cut_and_go_on_afterwards(tmp_path: Path) -> None:
    """A connection that was open before falls silent during the fault, and speaks again after it."""
    spec = service_spec(
        "pinger", "a", command=("python3", "-S", "-u", "-c", PINGER, "b"), ready=Ready(log="echo")
    )
    log = tmp_path / "logs/a/pinger.log"

    async def more_than(size: int) -> None:
        async with asyncio.timeout(5):
            while log.stat().st_size <= size:  # noqa: ASYNC110  # a file says nothing when it grows
                await asyncio.sleep(0.01)

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        async with hosts.service(spec) as service:
            await wait_ready(service, spec, clock=scene.clock)
            async with Partition("a").inject(scene):
                silent = log.stat().st_size
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(more_than(silent), 0.3)
            await more_than(silent)

    on_hosts(tmp_path, body, "a", "b")


@pytest.mark.parametrize("broken", ["cut", "reaches"])
def test_a_filter_that_does_nothing_has_no_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """A no-op filter, or a network that was broken before: the steps inside never run."""

    async def nothing(*_: object) -> None:
        return None

    async def unreachable(self: object, host: str, others: Any) -> dict[str, bool]:
        return dict.fromkeys(others, False)

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        if broken == "cut":
            monkeypatch.setattr(hosts, "_filter", nothing)
        else:
            monkeypatch.setattr(DockerHosts, "reaches", unreachable)
        with pytest.raises(
            NoReceipt, match=r"still reaches . after it was cut|cannot reach . before the cable is"
        ):
            async with Partition("a", within=0.1).inject(scene):
                raise AssertionError

    on_hosts(tmp_path, body, "a", "b")


def test_a_cable_that_somebody_plugged_in_has_no_receipt(tmp_path: Path) -> None:
    """Rules that vanish in mid-fault are found out at its end."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        with pytest.raises(NoReceipt, match=r"still reaches .* at the end of the fault"):
            async with Partition("a", within=0.1).inject(scene):
                await hosts._sandboxes["a"].ask("cut", addresses=[], control=[])

    on_hosts(tmp_path, body, "a", "b")


def test_a_single_host_has_no_cable(tmp_path: Path) -> None:
    """With nobody to be cut off from, the fault is not applicable."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        with pytest.raises(NotApplicable, match="there is no host that a could be cut off from"):
            async with Partition("a").inject(scene):
                raise AssertionError

    on_hosts(tmp_path, body, "a")
