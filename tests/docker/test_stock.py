"""Containers of testcontainers' own classes, as hosts of a deployment."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer

from harness.containers import Containers
from harness.engine_place import LOCAL
from harness.errors import EnvironmentFailure
from harness.faults.partition import Partition
from harness.hosts.docker import DockerHosts
from harness.hosts.stock import joined
from harness.journal import NAME, read_journal
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import FakeScene, service_spec, topology_of, workspace_in

pytestmark = pytest.mark.docker

BUILD = Path(__file__).parents[2] / "docker" / "build.sh"
ASK = "import socket; s = socket.create_connection(('cache', 6379)); s.sendall(b'PING\\r\\n'); print(s.recv(9), 'up')"


def left_of(folder: Path) -> list[str]:
    return list(Containers(LOCAL, read_journal(str(folder / NAME)).deployment).find())


def beside(folder: Path, body: Callable[[FakeScene, DockerHosts], Awaitable[None]]) -> None:
    """A deployment of one host."""
    subprocess.run([BUILD, "redis"], check=True, capture_output=True)

    async def main() -> None:
        workspace = workspace_in(folder)
        spec = service_spec("idle", command=("sleep", "92"))
        async with DockerHosts.open(topology_of(spec), workspace) as hosts:
            await body(FakeScene(hosts, workspace.clock, []), hosts)

    asyncio.run(main())


def test_redis_is_a_host_of_its_own(tmp_path: Path) -> None:
    """Services reach it by name, tests by its class, its cable can be cut, and nothing is left; no Ryuk."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        async with joined(hosts, "cache", RedisContainer("muster-redis:local")) as cache:
            assert cache.get_container_host_ip() == hosts.control.near(hosts.addresses["cache"])
            with cache.get_client() as client:
                assert await asyncio.to_thread(client.ping)
            spec = service_spec(
                "asks", command=("python3", "-S", "-u", "-c", ASK), ready=Ready(log=r"PONG.* up")
            )
            async with hosts.service(spec) as service:
                await wait_ready(service, spec, clock=scene.clock)
            async with Partition("cache").inject(scene):
                assert not (await hosts.reaches("server1", ["cache"]))["cache"]
                with cache.get_client() as client:
                    assert await asyncio.to_thread(client.ping)
            mine = [each for each in left_of(tmp_path) if each.startswith("container")]
            assert len(mine) == 3
        assert "cache" not in hosts.addresses

    beside(tmp_path, body)
    assert left_of(tmp_path) == []


def test_what_the_harness_does_not_stop_is_removed_with_the_deployment(tmp_path: Path) -> None:
    """A container that nobody stops carries the deployment's label, so it goes with the rest."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        async with joined(hosts, "cache", RedisContainer("muster-redis:local")) as cache:
            cache._docker.client.close()
            cache.stop = lambda *_, **__: None  # type: ignore[method-assign]

    beside(tmp_path, body)
    assert left_of(tmp_path) == []


def test_an_image_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """What testcontainers cannot start is unknown, in words; the host is gone again."""

    async def body(scene: FakeScene, hosts: DockerHosts) -> None:
        with pytest.raises(EnvironmentFailure, match=r"cache \(muster.invalid/none:1\) cannot start"):
            async with joined(hosts, "cache", DockerContainer("muster.invalid/none:1")):
                raise AssertionError
        assert list(hosts.addresses) == ["server1"]

    beside(tmp_path, body)
    assert left_of(tmp_path) == []
