"""Worker processes behind one endpoint: started, supervised, and called by whoever has least in flight."""

import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from system.errors import UsageError
from system.grpc_server import message_options
from system.worker.config import WorkerConfig
from system.worker.lease import pause

log = logging.getLogger("worker")

STABLE_AFTER = 10.0  # seconds: a process that ran for so long is started again at once
SOURCE = Path(__file__).resolve().parents[2]


class Process:
    """A worker process that runs."""

    def __init__(
        self, process: asyncio.subprocess.Process, socket: str, said: dict[str, Any], most: int
    ) -> None:
        self.capabilities: list[dict[str, Any]] = said["capabilities"]
        self.pid = process.pid
        self.in_flight = 0
        self.failed = False
        self.process = process
        self.channel = grpc.aio.insecure_channel(f"unix:{socket}", message_options(most))

    async def ended(self) -> int:
        code = await self.process.wait()
        self.failed = True
        return code

    async def stop(self, within: float) -> None:
        """Let go of it: it finishes what runs, and is killed if that takes too long."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(within):
                await self.process.wait()
        except TimeoutError:
            log.warning("worker process %d did not stop within %g s: killing it", self.pid, within)
            self.process.kill()
            await self.process.wait()


class Processes:
    """All of them. One that ends is started again, with growing pauses if it keeps ending."""

    def __init__(self, config: WorkerConfig, replica_id: str, directory: str) -> None:
        self._config = config
        self._replica_id = replica_id
        self._directory = directory
        self._started = 0
        self.running: dict[int, Process] = {}

    def least_busy(self) -> Process | None:
        """The process with least in flight; any of those that have equally little."""
        fit = [process for process in self.running.values() if not process.failed]
        fewest = min((process.in_flight for process in fit), default=0)
        return random.choice([one for one in fit if one.in_flight == fewest]) if fit else None

    def in_progress(self) -> int:
        """How many calls the processes have not answered yet."""
        return sum(process.in_flight for process in self.running.values())

    async def start(self, slot: int) -> Process:
        """Start one and wait until it serves; raises UsageError in its words when it cannot."""
        self._started += 1
        socket = f"{self._directory}/{self._started}.sock"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "system.worker.child", self._options(socket)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]),
            },
        )
        assert process.stdout is not None
        said = json.loads(await process.stdout.readline() or b"{}")
        if "capabilities" not in said:
            code = await process.wait()
            raise UsageError([said.get("error", f"a worker process ended with {code} before it served")])
        self.running[slot] = Process(process, socket, said, self._config.max_message)
        return self.running[slot]

    def _options(self, socket: str) -> str:
        config = self._config
        return json.dumps(
            {
                "app": config.app,
                "socket": socket,
                "replica_id": self._replica_id,
                "registry": config.registry,
                "threads": config.threads,
                "max_concurrency": config.max_concurrency,
                "max_message": config.max_message,
                "drain": config.drain,
                "log_level": config.log_level,
                "log_format": config.log_format,
            }
        )

    async def supervise(self, slot: int) -> None:
        """Start the slot's process again whenever it ends."""
        failures = 0
        while True:
            process, began = self.running[slot], time.monotonic()
            code = await process.ended()
            log.error(
                "worker process %d ended with %d and %d calls in flight; starting another",
                process.pid,
                code,
                process.in_flight,
            )
            failures = 0 if time.monotonic() - began > STABLE_AFTER else failures + 1
            while self.running[slot] is process:
                await asyncio.sleep(pause(failures, random.random()))
                try:
                    await self.start(slot)
                except UsageError as error:
                    failures += 1
                    log.error("a worker process could not be started again: %s", error)  # noqa: TRY400
            # not before: a channel that is closed cancels its calls, and callers would hear nothing at all
            await process.channel.close(None)


@asynccontextmanager
async def processes(config: WorkerConfig, replica_id: str) -> AsyncIterator[Processes]:
    """Run `config.processes` worker processes until the context is left."""
    with tempfile.TemporaryDirectory(prefix="muster-worker-") as directory:
        group = Processes(config, replica_id, directory)
        supervisors: list[asyncio.Task[None]] = []
        try:
            started = [group.start(slot) for slot in range(config.processes)]
            for failure in await asyncio.gather(*started, return_exceptions=True):
                if isinstance(failure, BaseException):
                    raise failure
            supervisors += [asyncio.create_task(group.supervise(slot)) for slot in group.running]
            yield group
        finally:
            for task in supervisors:
                task.cancel()
            await asyncio.gather(*supervisors, return_exceptions=True)
            await asyncio.gather(*(one.stop(config.drain) for one in group.running.values()))
            await asyncio.gather(*(one.channel.close(None) for one in group.running.values()))
