"""The harness's way through a relay: what it carries, what it tells, and what happens when it ends."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from socket import create_connection
from typing import Any

import httpx
import pytest

from harness.containers import Containers
from harness.engine_place import LOCAL
from harness.errors import EnvironmentFailure
from harness.faults.base import NoReceipt
from harness.faults.partition import Partition
from harness.hosts import control as controls
from harness.hosts.base import Workspace
from harness.hosts.container import ContainerService
from harness.hosts.docker import DockerHosts
from harness.journal import NAME, read_journal
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import FakeScene, service_spec, topology_of, workspace_in

pytestmark = pytest.mark.docker

SERVER = """
import http.server, socket, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def do_POST(self):
        left = int(self.headers["Content-Length"]); self.send_response(200)
        self.send_header("Content-Length", str(left)); self.end_headers()
        while left: data = self.rfile.read(min(left, 65536)); left -= len(data); self.wfile.write(data)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.request_queue_size = 128
threading.Thread(target=http.server.ThreadingHTTPServer(("0.0.0.0", 7000), Handler).serve_forever).start()
breaker = socket.create_server(("0.0.0.0", 7001))
print("up", flush=True)
while True:
    line, _ = breaker.accept()
    line.recv(1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")
    line.close()
"""
SPEC = service_spec("a", command=("python3", "-S", "-u", "-c", SERVER), ready=Ready(tcp=7000))
OTHER = service_spec("b", "server2", command=("sleep", "95"))
Body = Callable[[DockerHosts, ContainerService, Workspace], Awaitable[None]]


@pytest.fixture(autouse=True)
def relay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CONTROL", "relay")


def behind_a_relay(folder: Path, body: Body) -> Workspace:
    """Two hosts, an HTTP server on the first, ready."""

    async def main() -> Workspace:
        workspace = workspace_in(folder)
        topology = topology_of(SPEC, OTHER)
        async with DockerHosts.open(topology, workspace) as hosts, hosts.service(SPEC) as service:
            await wait_ready(service, SPEC, clock=workspace.clock)
            await body(hosts, service, workspace)
        return workspace

    workspace = asyncio.run(main())
    deployment = read_journal(str(folder / NAME)).deployment
    assert list(Containers(LOCAL, deployment).find()) == []
    return workspace


def test_what_goes_through_a_relay_is_what_would_go_over_the_bridge(tmp_path: Path) -> None:
    """Many connections at once, whole megabytes, refusals, resets and clients without asyncio."""

    async def body(hosts: DockerHosts, service: ContainerService, workspace: Workspace) -> None:
        address = service.address
        assert hosts.control.address.endswith(".2")
        data = os.urandom(1 << 20)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answers = await asyncio.gather(
                *(client.get(f"http://{address}:7000/") for _ in range(100)),
                *(client.post(f"http://{address}:7000/", content=data) for _ in range(4)),
            )
        assert [answer.text for answer in answers[:100]] == ["ok"] * 100
        sums = {hashlib.sha256(answer.content).hexdigest() for answer in answers[100:]}
        assert sums == {hashlib.sha256(data).hexdigest()}
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, 7999)
        reader, writer = await asyncio.open_connection(address, 7001)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert b"200" in await asyncio.to_thread(_plain_get, *hosts.control.way_to(address, 7000))

    behind_a_relay(tmp_path, body)


def _plain_get(host: str, port: int) -> bytes:
    with create_connection((host, port), 5) as line:
        line.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return line.recv(100)


@pytest.mark.parametrize("defect", [False, True])
def test_a_pulled_cable_leaves_the_relay_alone(tmp_path: Path, *, defect: bool) -> None:
    """The harness still reaches a host that is cut off; were its way cut too, there would be no receipt."""

    async def body(hosts: DockerHosts, service: ContainerService, workspace: Workspace) -> None:
        scene = FakeScene(hosts, workspace.clock, [service])
        if not defect:
            async with Partition("server1").inject(scene) as receipt:
                assert "0 of 2 probes through" in receipt.effect[1]
                _, writer = await asyncio.open_connection(service.address, 7000)
                writer.close()
            return
        way = hosts.control.address
        hosts.control.address = "198.51.100.1"
        hosts.addresses = {**hosts.addresses, "relay": way}  # then it is one of those it is cut off from
        with pytest.raises(NoReceipt, match="its own way in was cut"):
            async with Partition("server1", apart_from=("relay",)).inject(_Unproven(scene, hosts)):
                raise AssertionError

    behind_a_relay(tmp_path, body)


class _Unproven(FakeScene):
    """Hosts that have no sandbox called relay: what it reaches goes by what was asked."""

    def __init__(self, scene: FakeScene, hosts: DockerHosts) -> None:
        super().__init__(hosts, scene.clock, [])
        probe = hosts.reaches

        async def reaches(host: str, others: Any) -> dict[str, bool]:
            if host == "relay":
                return {other: not hosts.apart(host, other) for other in others}
            return dict(await probe(host, others))

        hosts.reaches = reaches  # type: ignore[method-assign]


def test_the_end_of_a_relay_leaves_nothing_certain(tmp_path: Path) -> None:
    """When it is killed, connections end, new ones are refused, and what is judged from then on is unknown."""

    async def body(hosts: DockerHosts, service: ContainerService, workspace: Workspace) -> None:
        reader, writer = await asyncio.open_connection(service.address, 7000)
        relay = next(
            n for n in _names() if n.endswith(".relay") and read_journal(str(tmp_path / NAME)).deployment in n
        )
        await asyncio.to_thread(subprocess.run, ["docker", "kill", relay], capture_output=True, check=True)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        with pytest.raises(OSError, match="relay through which muster reaches the hosts has ended"):
            await asyncio.open_connection(service.address, 7000)
        assert "relay through which muster reaches" in workspace.history.lost

    behind_a_relay(tmp_path, body)


def _names() -> list[str]:
    done = subprocess.run(
        ["docker", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_an_unknown_form_of_control_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is none says which there are, and nothing stays."""
    monkeypatch.setenv("MUSTER_CONTROL", "tunnel")

    async def body(*_: object) -> None:
        raise AssertionError

    with pytest.raises(
        EnvironmentFailure, match="MUSTER_CONTROL is 'tunnel': it can be auto, bridge or relay"
    ):
        behind_a_relay(tmp_path, body)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a network namespace of its own")
def test_where_the_bridge_is_out_of_reach_a_relay_is_used(tmp_path: Path) -> None:
    """In a network of its own, where only the engine's socket is left, muster takes the relay by itself."""
    program = (
        "from tests.docker.test_relay import *\n"
        "async def body(hosts, service, workspace):\n"
        f"    print(hosts.control.address, (await asyncio.open_connection(service.address, 7000))[1].get_extra_info('peername'))\n"
        f"behind_a_relay(Path({str(tmp_path)!r}), body)\n"
    )
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=os.environ | {controls.VARIABLE: ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("198.1")
    assert "127.0.0.1" in done.stdout
