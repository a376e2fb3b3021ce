"""Process hosts on bad days: taken ports, programs that cannot start, full disks, errors inside."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from harness import processes
from harness.errors import EnvironmentFailure
from harness.events import Note
from harness.history import of
from harness.hosts.base import Target
from harness.hosts.process import ProcessHosts, ProcessService
from harness.model import Ready, Resources
from harness.testing import topology_of, workspace_in
from tests.harness.hosts.processes_up import (
    PYTHON,
    alive,
    program,
    run_with,
    running,
)


@pytest.mark.parametrize("bound", ["{address}", "0.0.0.0"])
def test_a_taken_port_names_service_host_port_and_holder(tmp_path: Path, bound: str) -> None:
    """A port that somebody else listens on is found before the start, also behind 0.0.0.0."""

    async def main() -> None:
        async with ProcessHosts.open(topology_of(program()), workspace_in(tmp_path)) as hosts:
            with socket.create_server((bound.format(address=hosts.addresses["server1"]), 0)) as taken:
                spec = program(ports=(taken.getsockname()[1],))
                async with hosts.service(spec):
                    pass

    with pytest.raises(
        EnvironmentFailure, match=rf"^a cannot start: port \d+ of server1 .* pid {os.getpid()} "
    ):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("no-such-program",), "a cannot start: there is no program 'no-such-program'"),
        (("./not-executable",), "a cannot start: '.*/not-executable' is not executable"),
        ((), "a has no command, which process hosts need"),
    ],
)
def test_a_program_that_cannot_start_is_named(tmp_path: Path, command: tuple[str, ...], message: str) -> None:
    """A missing or unexecutable program is the environment's fault, in words."""
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        raise AssertionError

    with pytest.raises(EnvironmentFailure, match=message):
        run_with(tmp_path, body, program(command=command))


def test_a_relative_program_is_found_from_the_scenarios_folder(tmp_path: Path) -> None:
    """`./program` means beside the scenario file, although the service runs in a folder of its own."""
    script = tmp_path / "program"
    script.write_text("#!/bin/sh\necho up; pwd; sleep 65\n")
    script.chmod(0o755)

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        assert str(tmp_path / "services/server1/a") in (tmp_path / "logs/server1/a.log").read_text()

    run_with(tmp_path, body, program(command=("./program",), ready=Ready(log="services")))


def test_files_and_labelled_environment(tmp_path: Path) -> None:
    """A service finds its files, private to the user, in its folder, and its own variables beside the labels."""
    show = (
        *PYTHON,
        (
            "import os; print(open('etc/x.toml').read(), oct(os.stat('etc/x.toml').st_mode)[-3:], os.environ['OWN'],"
            "os.environ['MUSTER_RUN'], os.environ['MUSTER_SERVICE'], os.environ['PATH'].split(':')[0],"
            "os.environ.get('SECRET_OF_MINE'))"
        ),
    )
    spec = program(command=show, files={"etc/x.toml": "port = 1"}, env={"OWN": "mine"}, ready=Ready(exit=0))
    os.environ["SECRET_OF_MINE"] = "x"

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        pass

    try:
        run_with(tmp_path, body, spec)
    finally:
        del os.environ["SECRET_OF_MINE"]
    said = (tmp_path / "logs/server1/a.log").read_text().strip()
    assert said == f"port = 1 600 mine run-1 a {Path(sys.executable).parent} None"


def test_a_file_cannot_leave_the_services_folder(tmp_path: Path) -> None:
    """A file name with `..` that would be written elsewhere is refused."""

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        raise AssertionError

    with pytest.raises(EnvironmentFailure, match="outside of the service's folder"):
        run_with(tmp_path, body, program(files={"../../../x": ""}))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("where", ["services/server1/a", "logs/server1"])
def test_a_disk_that_takes_nothing_is_named(tmp_path: Path, where: str) -> None:
    """A folder that cannot be made is the environment's fault, with its path."""
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    path.write_text("in the way")

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        raise AssertionError

    with pytest.raises(EnvironmentFailure, match=f"^a cannot .*: .*{where}"):
        run_with(tmp_path, body, program())


@pytest.mark.slow
def test_forty_deployments_at_once(tmp_path: Path) -> None:
    """Deployments side by side share no address, and each ends only its own processes."""
    count = 40

    async def one(number: int, all_up: asyncio.Barrier) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        spec = program(ports=(8000,))
        async with running(workspace_in(folder), spec) as (hosts, service):
            await all_up.wait()
            if number % 2:
                await all_up.wait()
                assert service.alive
            else:
                await hosts.stop("a")
                await all_up.wait()
            return str(hosts.addresses["server1"])

    async def main() -> list[str]:
        barrier = asyncio.Barrier(count)
        return await asyncio.gather(*(one(number, barrier) for number in range(count)))

    assert len(set(asyncio.run(main()))) == count


def test_a_service_that_runs_cannot_be_started_again(tmp_path: Path) -> None:
    """A second start of a running service is refused instead of being forgotten."""

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        with pytest.raises(EnvironmentFailure, match="already runs"):
            await hosts.start("a")

    run_with(tmp_path, body, program())


def test_an_error_or_cancellation_inside_leaves_nothing(tmp_path: Path) -> None:
    """However the body ends, every process of the deployment is gone afterwards."""
    seen: list[tuple[int, int]] = []

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        assert service.program is not None
        seen.append(service.program.identity)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_with(tmp_path, body, program())
    assert len(seen) == 1
    assert not alive(seen)


def test_a_killed_child_that_is_started_again_is_hit_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL to a child does not chase the children that its supervisor starts after it."""
    send = processes.send_signal
    label = b"MUSTER_SERVICE=a"

    def send_and_see_it_reborn(pid: int, born: int, number: int) -> bool:
        sent = send(pid, born, number)
        until = time.monotonic() + 5
        while not any(stat.born >= born and stat.pid > pid for stat in processes.family([label])):
            assert time.monotonic() < until
        return sent

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        target = Target(service="a", child=True)
        (before,) = await hosts.processes(target)
        with monkeypatch.context() as patched:
            patched.setattr(processes, "send_signal", send_and_see_it_reborn)
            hit = await hosts.signal(target, 9)
        assert [process.pid for process in hit] == [before.pid]
        (after,) = await hosts.processes(target)
        assert after.pid != before.pid

    supervisor = ("sh", "-c", "echo up; while true; do sleep 66; done")
    run_with(tmp_path, body, program(command=supervisor, ready=Ready(log="up")))


def test_resources_are_not_limited_and_that_is_said(tmp_path: Path) -> None:
    """A limit that process hosts cannot set stands in the history, so that nobody takes it for set."""

    async def nothing(*_: object) -> None:
        """Starting it is enough."""

    workspace = run_with(tmp_path, nothing, program(resources=Resources(memory=2**25)))
    notes = [event.text for _, event in of(workspace.history.records, Note)]
    assert notes == ["a is not limited to its resources: process hosts cannot, --hosts docker can"]
