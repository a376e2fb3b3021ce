"""Several runs and users on one engine at the same time: nothing of theirs meets, nothing stays."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from harness.containers import Containers, can_tell, machine
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


USERS: Mapping[str, Sequence[str]] = {
    "us": (),
    "another user": ("setpriv", "--reuid=65534", "--regid=65534", "--groups={group}"),
    "one without our leases": ("unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"),
}
"""Who deploys, and what it is started with: names and loopback ranges are leased in a network namespace."""

ONE_AFTER_THE_OTHER = (
    "import json, sys; from tests.docker.test_parallel import work; print(json.dumps(work(sys.argv[1], 2)))"
)


def interpreter() -> str:
    """A Python that everybody may run: ours may be in a home."""
    everybodys = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    return everybodys if Path(everybodys).exists() else sys.executable


def image_id(name: str) -> str:
    """An image as it is: nobody but the checkout's owner can build it anew."""
    argv = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def of_user(prefix: Sequence[str], folder: Path) -> list[Mapping[str, Any]]:
    """What a user deployed, who shares nothing with us but the engine."""
    folder.mkdir()
    folder.chmod(0o777)
    images = {"MUSTER_IMAGE": "muster-system:local", "MUSTER_SANDBOX_IMAGE": "muster-sandbox:local"}
    argv = [word.format(group=Path(LOCAL.socket_path).stat().st_gid) for word in prefix]
    done = subprocess.run(
        [*argv, interpreter(), "-c", ONE_AFTER_THE_OTHER, str(folder / "runs")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        | {"PYTHONPATH": sysconfig.get_path("purelib")}
        | {variable: image_id(image) for variable, image in images.items()},
    )
    assert done.returncode == 0, done.stderr
    found: list[Mapping[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
def test_users_who_share_nothing_but_the_engine_do_not_collide() -> None:
    """Another user id, and somebody who does not see our leases: the engine itself gives no range twice."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        ThreadPoolExecutor(len(USERS)) as pool,
    ):
        Path(name).chmod(0o755)
        folders = [Path(name) / str(number) for number in range(len(USERS))]
        found = [each for of in pool.map(of_user, USERS.values(), folders) for each in of]
    assert len(found) == 2 * len(USERS)
    assert collisions(found) == []
    assert [each["left"] for each in found if each["left"]] == []
    assert any(at_once(*pair) for pair in combinations(found, 2))


def test_a_run_is_taken_for_dead_only_where_its_lease_would_be_seen() -> None:
    """Its name not being held says something in the same namespace, or after the machine was started again."""
    assert can_tell("host/boot1/net:[1]", "host/boot1/net:[1]")
    assert can_tell("host/boot0/net:[7]", "host/boot1/net:[1]")
    assert not can_tell("host/boot1/net:[2]", "host/boot1/net:[1]")
    assert not can_tell("other/boot0/net:[1]", "host/boot1/net:[1]")
    assert can_tell(machine(), machine())
