"""Hosts as loopback addresses, services as process groups."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import processes
from harness.clock import SystemClock
from harness.errors import EnvironmentFailure
from harness.events import HostDown, HostUp, ServiceExited, ServiceStarting
from harness.history import of
from harness.hosts.base import Exit, Target, Workspace
from harness.hosts.process import ProcessHosts, ProcessService
from harness.model import Ready, ServiceSpec
from harness.readiness import wait_ready
from harness.testing import service_spec, topology_of, workspace_in

PYTHON = (sys.executable, "-S", "-u", "-c")
SLEEPER = (*PYTHON, "import time; print('up'); time.sleep(60)")
FAMILY = ("sh", "-c", "setsid sleep 61 & env -i setsid sleep 62 & echo up; wait")
LISTENER = (
    *PYTHON,
    "import socket, sys, time; s = socket.create_server((sys.argv[1], 8000)); print('up'); time.sleep(60)",
    "{address}",
)


def program(name: str = "a", host: str = "server1", **fields: Any) -> ServiceSpec:
    return service_spec(name, host, **{"command": SLEEPER, "ready": Ready(log="up"), **fields})


@asynccontextmanager
async def running(workspace: Workspace, *specs: ServiceSpec) -> AsyncIterator[tuple[ProcessHosts, Any]]:
    """Hosts with these services started and ready."""
    async with ProcessHosts.open(topology_of(*specs), workspace) as hosts:
        if not specs:
            yield hosts, None
            return
        async with hosts.service(specs[0]) as service:
            await wait_ready(service, specs[0], clock=workspace.clock)
            yield hosts, service


def run_with(
    folder: Path, body: Callable[[ProcessHosts, ProcessService], Awaitable[None]], spec: ServiceSpec
) -> Workspace:
    async def main() -> Workspace:
        workspace = workspace_in(folder)
        async with running(workspace, spec) as (hosts, service):
            await body(hosts, service)
        return workspace

    return asyncio.run(main())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110  # nothing announces it: it is in /proc
            await asyncio.sleep(0.005)


async def are_gone(pids: list[tuple[int, int]]) -> bool:
    return not alive(pids)


def alive(pids: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [identity for identity in pids if processes.is_alive(*identity)]


def test_every_host_has_an_address_of_its_own(tmp_path: Path) -> None:
    """Two hosts of a deployment, and two deployments, never share an address."""

    async def main() -> list[str]:
        topology = topology_of(program("a", "server1"), program("b", "server2"))
        (tmp_path / "2").mkdir()
        async with (
            ProcessHosts.open(topology, workspace_in(tmp_path)) as one,
            ProcessHosts.open(topology, workspace_in(tmp_path / "2")) as two,
        ):
            return [*one.addresses.values(), *two.addresses.values()]

    addresses = asyncio.run(main())
    assert len(set(addresses)) == 4
    assert all(address.startswith("127.") for address in addresses)


def test_two_hosts_can_use_the_same_port(tmp_path: Path) -> None:
    """Services on different hosts listen on the same port number at the same time."""

    async def main() -> None:
        workspace = workspace_in(tmp_path)
        a, b = program("a", "server1"), program("b", "server2")
        async with ProcessHosts.open(topology_of(a, b), workspace) as hosts:
            for spec in (a, b):
                command = tuple(part.format(address=hosts.addresses[spec.host]) for part in LISTENER)
                placed = program(spec.name, spec.host, command=command, ports=(8000,))
                await stack(hosts, placed, workspace)

    async def stack(hosts: ProcessHosts, spec: ServiceSpec, workspace: Workspace) -> None:
        context = hosts.service(spec)
        service = await context.__aenter__()
        contexts.append(context)
        await wait_ready(service, spec, clock=workspace.clock)
        if len(contexts) == 2:
            for each in reversed(contexts):
                await each.__aexit__(None, None, None)

    contexts: list[Any] = []
    asyncio.run(main())
    assert len(contexts) == 2


def test_the_log_holds_everything_from_the_first_byte_over_restarts(tmp_path: Path) -> None:
    """Output and errors of all starts are in the log; a new start's log begins where the old one's ended."""
    noisy = (*PYTHON, "import os, sys, time; print('out up'); sys.stderr.write('err\\n'); time.sleep(60)")

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        await hosts.stop("a")
        first = service.log_from
        await hosts.start("a")
        assert first == 0
        assert service.log_from == len("out up\nerr\n")
        await wait_ready(service, service.spec, clock=SystemClock())

    run_with(tmp_path, body, program(command=noisy))
    assert (tmp_path / "logs/server1/a.log").read_text().startswith("out up\nerr\nout up\n")


def test_an_unexpected_end_is_recorded_at_once_with_the_last_lines(tmp_path: Path) -> None:
    """A program that ends by itself leaves its exit code and its last log lines in the history."""
    fails = (*PYTHON, "print('up'); print('no such model'); raise SystemExit(3)")

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        assert await service.exited() == Exit(code=3)
        assert not service.alive

    workspace = run_with(tmp_path, body, program(command=fails, ready=Ready(exit=3)))
    (found,) = of(workspace.history.records, ServiceExited)
    assert found[1] == ServiceExited(
        service="a", host="server1", code=3, expected=False, last_lines=("up", "no such model")
    )


def test_an_end_the_harness_asked_for_is_expected(tmp_path: Path) -> None:
    """A stopped service's end says so, with the signal that ended it."""

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        assert await hosts.stop("a") == Exit(code=None, signal="SIGTERM")

    workspace = run_with(tmp_path, body, program())
    (found,) = of(workspace.history.records, ServiceExited)
    assert (found[1].signal, found[1].expected) == ("SIGTERM", True)


def test_the_history_tells_hosts_and_starts(tmp_path: Path) -> None:
    """Hosts coming and going and every start with its pid are in the history."""

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        pids.append(service.program.pid if service.program else 0)

    pids: list[int] = []
    workspace = run_with(tmp_path, body, program())
    (start,) = of(workspace.history.records, ServiceStarting)
    assert start[1].pid == pids[0]
    assert start[1].log == "logs/server1/a.log"
    assert [type(record.event) for record in workspace.history.records] == [
        HostUp,
        ServiceStarting,
        ServiceExited,
        HostDown,
    ]


def test_leaving_ends_children_also_in_sessions_and_environments_of_their_own(tmp_path: Path) -> None:
    """Nothing a service started outlives it, however it was started."""
    seen: list[tuple[int, int]] = []

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        async def three() -> bool:
            return len(await hosts.processes(Target(service="a"))) == 3

        await until(three)
        family = await hosts.processes(Target(service="a"))
        seen.extend((process.pid, process.born) for process in family)

    run_with(tmp_path, body, program(command=FAMILY))
    assert len(seen) == 3
    assert not alive(seen)


def test_the_end_of_the_main_process_is_the_end_of_its_children(tmp_path: Path) -> None:
    """As in a container, what a service's main process leaves running is ended with it."""
    seen: list[tuple[int, int]] = []

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        family = await hosts.processes(Target(service="a"))
        seen.extend((process.pid, process.born) for process in family)
        assert service.program is not None
        os.kill(service.program.pid, 9)
        await service.exited()
        await until(lambda: are_gone(seen))

    run_with(tmp_path, body, program(command=("sh", "-c", "setsid sleep 63 & echo up; wait")))
    assert len(seen) == 2


def test_children_are_told_from_the_main_process(tmp_path: Path) -> None:
    """A child target is every process of the service but its main one; the main one comes first."""

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        async def sleeps() -> bool:
            children = await hosts.processes(Target(service="a", child=True))
            return [child.command for child in children] == ["sleep 64"]

        await until(sleeps)
        assert service.program is not None
        everyone = await hosts.processes(Target(service="a"))
        assert everyone[0].pid == service.program.pid
        assert list(everyone[1:]) == list(await hosts.processes(Target(service="a", child=True)))

    run_with(tmp_path, body, program(command=("sh", "-c", "sleep 64 & echo up; wait")))


def test_a_stubborn_and_paused_service_is_down_in_time(tmp_path: Path) -> None:
    """A program that ignores SIGTERM is killed after `stop_within`, a paused one is woken first."""
    stubborn = (
        *PYTHON,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)",
    )

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        await hosts.signal(Target(service="a"), 19)
        assert await hosts.stop("a") == Exit(code=None, signal="SIGKILL")

    began = time.monotonic()
    run_with(tmp_path, body, program(command=stubborn, stop_within=0.2))
    assert time.monotonic() - began < 1.5


def test_a_paused_service_that_obeys_is_woken_to_end(tmp_path: Path) -> None:
    """SIGTERM reaches a paused program, which then ends by itself."""

    async def body(hosts: ProcessHosts, service: ProcessService) -> None:
        await hosts.signal(Target(service="a"), 19)
        assert await hosts.stop("a") == Exit(code=None, signal="SIGTERM")

    run_with(tmp_path, body, program())


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
