"""A run to be killed: services with families on process hosts, and faults on them, again and again.

`python killed_run.py FOLDER [HOSTS_KIND]`: prints `run` when the first service is up. Not a test by itself.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from harness.faults.kill import Kill
from harness.faults.partition import Partition
from harness.faults.pause import Pause
from harness.hosts import HOSTS
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import FakeScene, service_spec, topology_of, workspace_in

FAMILY = "setsid sleep 71 & env -i setsid sleep 72 & echo up; while true; do sleep 73; done"


async def main(folder: Path, kind: str) -> None:
    workspace = workspace_in(folder, run="killed-run")
    up = Ready(log="up")
    specs = [
        service_spec("plain", command=("sh", "-c", "echo up; sleep 74"), ready=up),
        service_spec("family", command=("sh", "-c", FAMILY), ready=up, child="backend"),
        service_spec("frozen", "server2", command=("sh", "-c", "echo up; sleep 75 & wait"), ready=up),
    ]
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(HOSTS[kind].open(topology_of(*specs), workspace))
        services = [await stack.enter_async_context(hosts.service(spec)) for spec in specs]
        print("run", flush=True)
        for service in services:
            await wait_ready(service, service.spec, clock=workspace.clock)
        scene = FakeScene(hosts, workspace.clock, services)
        async with Pause("frozen").inject(scene):
            while True:
                async with Kill("family.backend").inject(scene), Kill("plain").inject(scene):
                    pass
                if kind == "docker":
                    async with Partition("server2").inject(scene):
                        pass


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *(sys.argv[2:] or ["process"])))
