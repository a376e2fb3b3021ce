"""Hosts as loopback addresses, services as process groups."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from harness.clock import SystemClock
from harness.events import HostDown, HostUp, ServiceExited, ServiceStarting
from harness.history import of
from harness.hosts.base import Exit, Target, Workspace
from harness.hosts.process import ProcessHosts, ProcessService
from harness.model import Ready, ServiceSpec
from harness.readiness import wait_ready
from harness.testing import topology_of, workspace_in
from tests.harness.hosts.processes_up import (
    FAMILY,
    LISTENER,
    PYTHON,
    alive,
    are_gone,
    program,
    run_with,
    until,
)


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
