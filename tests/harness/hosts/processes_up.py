"""Small services on process hosts, for the tests of both."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from harness import processes
from harness.hosts.base import Workspace
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
