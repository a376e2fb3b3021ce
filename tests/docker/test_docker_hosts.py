"""Hosts as containers: what can go wrong, and what is left."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness import leftovers
from harness.containers import LABEL, MACHINE, RUN_LABEL, Containers, machine
from harness.engine_place import LOCAL
from harness.errors import EnvironmentFailure
from harness.events import Note, ServiceExited
from harness.history import of
from harness.hosts.base import Exit, Target, Workspace
from harness.hosts.container import ContainerService
from harness.hosts.docker import DockerHosts
from harness.journal import NAME, read_journal
from harness.leases import DEPLOYMENTS, hold
from harness.model import Ready, Resources, ServiceSpec
from harness.readiness import wait_ready
from harness.testing import service_spec, topology_of, workspace_in

pytestmark = pytest.mark.docker

KILLED_RUN = Path(__file__).parents[1] / "harness" / "killed_run.py"
Body = Callable[[DockerHosts, ContainerService], Awaitable[None]]


def run_with(folder: Path, spec: ServiceSpec, body: Body | None = None) -> Workspace:
    """One service on docker hosts, ready."""

    async def main() -> Workspace:
        workspace = workspace_in(folder)
        async with DockerHosts.open(topology_of(spec), workspace) as hosts, hosts.service(spec) as service:
            await wait_ready(service, spec, clock=workspace.clock)
            if body is not None:
                await body(hosts, service)
        return workspace

    return asyncio.run(main())


def left_of(folder: Path) -> list[str]:
    return list(Containers(LOCAL, read_journal(str(folder / NAME)).deployment).find())


def shell(script: str, **fields: Any) -> ServiceSpec:
    return service_spec("a", **{"command": ("sh", "-c", script), "ready": Ready(log="up"), **fields})


def test_logs_exits_and_files(tmp_path: Path) -> None:
    """The log is whole over restarts, an unexpected end is recorded with its code and last lines."""

    async def body(hosts: DockerHosts, service: ContainerService) -> None:
        assert await service.exited() == Exit(code=3)
        await hosts.start("a")
        await service.exited()

    spec = shell("echo up; cat etc/x.toml; exit 3", files={"etc/x.toml": "port = 1\n"}, ready=Ready(exit=3))
    workspace = run_with(tmp_path, spec, body)
    assert (tmp_path / "logs/server1/a.log").read_text() == "up\nport = 1\n" * 2
    first, _ = (event for _, event in of(workspace.history.records, ServiceExited))
    assert (first.code, first.expected, first.last_lines) == (3, False, ("up", "port = 1"))
    assert left_of(tmp_path) == []


def test_what_a_service_leaves_running_ends_with_it(tmp_path: Path) -> None:
    """As on process hosts, the end of the main process is the end of its children."""

    async def body(hosts: DockerHosts, service: ContainerService) -> None:
        assert len(await hosts.processes(Target(service="a"))) == 3
        (main, *_) = await hosts.processes(Target(service="a"))
        assert main.command.startswith("sh -c")
        await hosts.signal(Target(service="a", child=True), signal.SIGSTOP)
        assert await hosts.stop("a") == Exit(code=None, signal="SIGTERM")
        assert await hosts.processes(Target(service="a")) == []

    run_with(tmp_path, shell("setsid sleep 81 & echo up; sleep 82 & wait"), body)


def test_a_program_beside_the_scenario_comes_along(tmp_path: Path) -> None:
    """`./program` is taken from the scenario's folder into the container."""
    (tmp_path / "program").write_text("#!/bin/sh\necho up; sleep 83\n")
    run_with(tmp_path, shell("", command=("./program",)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"command": ("no-such-program",)},
            "a cannot start: the container engine refused: .*no-such-program",
        ),
        ({"command": ("./gone",)}, "a cannot start: there is no program '.*gone'"),
        (
            {"image": "muster.invalid/none:1"},
            "there is no image 'muster.invalid/none:1', and it cannot be pulled",
        ),
        (
            {"command": ("sh", "-c", "echo boom; exit 7")},
            r"a ended \(exit code 7\) before it was ready; last lines:\n    boom",
        ),
    ],
)
def test_what_cannot_start_is_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    """A missing program or image, a container that exits at once: unknown, in words, nothing left."""
    with pytest.raises(EnvironmentFailure, match=message):
        run_with(tmp_path, shell("", **fields))
    if (tmp_path / NAME).exists():
        assert left_of(tmp_path) == []


def test_no_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers, the message says where it was looked for and what to do."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(
        EnvironmentFailure, match=r"no Docker Engine answers at unix:///nowhere.*docker/engine.sh"
    ):
        run_with(tmp_path, shell("echo up; sleep 84"))


def test_running_out_of_memory_is_told(tmp_path: Path) -> None:
    """A service that is killed for its memory limit leaves a note beside its end."""
    eat = ("python3", "-S", "-u", "-c", "print('up'); x = [bytearray(2**20) for _ in range(500)]")
    spec = shell("", command=eat, resources=Resources(memory=2**25), ready=Ready(log="up"))

    async def body(hosts: DockerHosts, service: ContainerService) -> None:
        assert (await asyncio.wait_for(service.exited(), 20)).signal == "SIGKILL"

    workspace = run_with(tmp_path, spec, body)
    notes = [event.text for _, event in of(workspace.history.records, Note)]
    assert notes == ["a ran out of the memory it may use"]


def test_reap_finds_containers_of_dead_runs_and_only_these() -> None:
    """`muster reap` removes a container whose deployment nobody holds, and leaves one of a run that is going on."""
    living, dead = f"living-{os.getpid()}", f"dead-{os.getpid()}"

    def container(deployment: str) -> str:
        labels = [
            f"--label={LABEL}={deployment}",
            f"--label={RUN_LABEL}=gone",
            f"--label={MACHINE}={machine()}",
        ]
        command = ["docker", "run", "-d", "--network=none", *labels, "muster-sandbox:local", "sleep", "300"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    held = hold(DEPLOYMENTS, living)
    assert held is not None
    with held:
        containers = [container(living), container(dead)]
        found = [journal for journal in leftovers.of_machine() if journal.deployment in {living, dead}]
        assert [journal.deployment for journal in found] == [dead]
        ((run, removed, left),) = leftovers.remove(found)
    assert (run, len(removed), left) == ("gone", 1, [])
    ids = subprocess.run(
        ["docker", "ps", "-aq", "--no-trunc"], capture_output=True, text=True, check=True
    ).stdout
    assert containers[0] in ids
    assert containers[1] not in ids
    subprocess.run(["docker", "rm", "-f", containers[0]], capture_output=True, check=True)


def kill_at(folder: Path, seconds: float, *, in_faults: bool) -> None:
    """SIGKILL that long after it has begun to bring up, or after its services are up and faults begin."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, str(KILLED_RUN), str(folder), "docker"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as harness:
        until = time.monotonic() + 300  # images may have to be built first
        while not (folder / NAME).exists() or not (folder / NAME).stat().st_size:
            assert time.monotonic() < until
            time.sleep(0.02)
        if in_faults:
            assert harness.stdout is not None
            assert harness.stdout.readline() == b"run\n"
        time.sleep(seconds)
        os.killpg(harness.pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while not read_journal(str(folder / NAME)).clean:
        assert time.monotonic() < until, f"killed at {seconds:.3f} s: {left_of(folder)} left after 15 s"
        time.sleep(0.05)
    assert left_of(folder) == []


@pytest.mark.slow
def test_a_killed_harness_leaves_no_container(tmp_path: Path) -> None:
    """SIGKILL to its process group while it brings up, in faults, at random moments: all is gone within 15 s."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    other = subprocess.run(
        ["docker", "run", "-d", "--rm", "--network", "none", "muster-sandbox:local", "sleep", "infinity"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    try:
        for number in range(int(os.environ.get("MUSTER_KILLS", "8"))):
            try:
                kill_at(tmp_path / str(number), moments.uniform(0, 4), in_faults=number % 2 == 1)
            except AssertionError as error:
                error.add_note(f"seed {seed}, kill number {number}")
                raise
        state = subprocess.run(
            ["docker", "inspect", other], capture_output=True, text=True, check=True
        ).stdout
        assert json.loads(state)[0]["State"]["Running"]
    finally:
        subprocess.run(["docker", "rm", "-f", other], capture_output=True, check=True)
