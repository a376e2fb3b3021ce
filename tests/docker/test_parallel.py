"""Several runs on one engine at the same time: nothing of theirs meets, nothing stays."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from harness.containers import Containers
from harness.engine_place import LOCAL
from harness.hosts.docker import DockerHosts
from harness.journal import NAME, read_journal
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import service_spec, topology_of, workspace_in

pytestmark = [pytest.mark.docker, pytest.mark.slow]

WORKERS = 4
DEPLOYMENTS = int(os.environ.get("MUSTER_DEPLOYMENTS", "3"))
"""Of each worker: the issue's 40 take some minutes."""

SERVE = "import socket, time; s = socket.create_server(('{address}', 7000)); print('up'); time.sleep(100)"


async def deploy(folder: Path) -> Mapping[str, Any]:
    """Two hosts with a service each, both at port 7000; says which network it had, and from when to when."""
    folder.mkdir()
    workspace = workspace_in(folder)
    empty = [service_spec(name, host) for name, host in (("one", "server1"), ("two", "server2"))]
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(DockerHosts.open(topology_of(*empty), workspace))
        began = workspace.clock.wall()
        for spec in empty:
            code = SERVE.format(address=hosts.addresses[spec.host])
            command = ("python3", "-S", "-u", "-c", code)
            listening = service_spec(spec.name, spec.host, command=command, ready=Ready(log="up"))
            service = await stack.enter_async_context(hosts.service(listening))
            await wait_ready(service, listening, clock=workspace.clock)
        ended = workspace.clock.wall()
    deployment = read_journal(str(folder / NAME)).deployment
    left = Containers(LOCAL, deployment).find()
    return {
        "deployment": deployment,
        "addresses": list(hosts.addresses.values()),
        "from": began,
        "to": ended,
        "left": list(left),
    }


def work(folder: str, count: int) -> list[Mapping[str, Any]]:
    """A worker: one deployment after the other."""
    Path(folder).mkdir()
    return [asyncio.run(deploy(Path(folder) / str(number))) for number in range(count)]


def collisions(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names given twice, and ranges of two deployments that stood at the same time."""
    names = [each["deployment"] for each in found]
    wrong = [f"{name} twice" for name in {n for n in names if names.count(n) > 1}]
    for one, other in combinations(found, 2):
        if at_once(one, other) and network_of(one) == network_of(other):
            wrong.append(f"{one['deployment']} and {other['deployment']} in {network_of(one)}")
    return wrong


def at_once(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two deployments stood at the same time."""
    return bool(one["from"] < other["to"] and other["from"] < one["to"])


def network_of(deployment: Mapping[str, Any]) -> str:
    """The range its hosts are in."""
    (network,) = {ipaddress.ip_network(f"{a}/24", strict=False) for a in deployment["addresses"]}
    return str(network)


def test_workers_at_the_same_time_share_nothing_and_leave_nothing(tmp_path: Path) -> None:
    """Four workers deploy again and again: no name, range or port is taken twice, nothing is left."""
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        folders = [str(tmp_path / str(number)) for number in range(WORKERS)]
        found = [each for run in pool.map(work, folders, [DEPLOYMENTS] * WORKERS) for each in run]
    assert len(found) == WORKERS * DEPLOYMENTS
    assert collisions(found) == []
    assert [each["left"] for each in found if each["left"]] == []
    overlapping = any(at_once(*pair) for pair in combinations(found, 2))
    assert overlapping, "no two deployments stood at the same time: that proves nothing"


def test_a_collision_would_be_seen() -> None:
    """Two deployments in one range at one time are told from two that follow each other, and names from names."""
    one = {"deployment": "a", "addresses": ["198.18.1.10", "198.18.1.11"], "from": 0.0, "to": 2.0}
    assert collisions([one, one | {"deployment": "b", "from": 1.0, "to": 3.0}]) == [
        "a and b in 198.18.1.0/24"
    ]
    assert collisions([one, one | {"deployment": "b", "from": 2.0, "to": 3.0}]) == []
    assert collisions([one, one | {"addresses": ["198.18.2.10"]}]) == ["a twice"]
