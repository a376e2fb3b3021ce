"""Two real services on process hosts, one of them with a child that it starts again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from harness.hosts.process import ProcessHosts
from harness.model import Ready, ServiceSpec
from harness.readiness import wait_ready
from harness.testing import FakeScene, service_spec, topology_of, workspace_in

PLAIN = (sys.executable, "-S", "-u", "-c", "import time; print('up'); time.sleep(60)")
SUPERVISOR = ("sh", "-c", "echo up; while true; do sleep 67; done")
STUBBORN = ("sh", "-c", "trap '' TERM; echo up; while true; do sleep 0.05; done")

Body = Callable[[FakeScene], Awaitable[None]]


@asynccontextmanager
async def stage_of(folder: Path, *specs: ServiceSpec) -> AsyncIterator[FakeScene]:
    """These services up and ready on process hosts."""
    workspace = workspace_in(folder)
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(ProcessHosts.open(topology_of(*specs), workspace))
        services = [await stack.enter_async_context(hosts.service(spec)) for spec in specs]
        for service in services:
            await wait_ready(service, service.spec, clock=workspace.clock)
        yield FakeScene(hosts, workspace.clock, services)


@pytest.fixture
def on_stage(tmp_path: Path) -> Callable[[Body], None]:
    """Run a coroutine function on a stage of `router`, `babysitter` (with a child) and `stubborn` on server2."""

    def run(body: Body) -> None:
        async def main() -> None:
            up = Ready(log="up")
            specs = (
                service_spec("router", command=PLAIN, ready=up),
                service_spec("babysitter", command=SUPERVISOR, ready=up, child="backend", after=("router",)),
                service_spec("stubborn", "server2", command=STUBBORN, ready=up, stop_within=0.02),
            )
            async with stage_of(tmp_path, *specs) as stage:
                await body(stage)

        asyncio.run(main())

    return run
