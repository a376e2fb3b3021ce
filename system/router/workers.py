"""Several processes behind one port: starts them, replaces the dead, passes on what they tell each other."""

import asyncio
import base64
import contextlib
import logging
import math
import pickle
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from system.errors import StartupError
from system.router.departed import Told
from system.router.settings import RouterConfig

log = logging.getLogger("router.workers")

START_WITHIN = 20.0  # seconds
RESTART_PAUSE = 0.5


class Worker:
    """One process, as its parent sees it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None
        self.writer: asyncio.StreamWriter | None = None


class Hub:
    """The workers, and the lines between them."""

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self.workers = [Worker(number) for number in range(config.workers)]
        self.told = Told()
        self.stopping = False

    async def keep(self, worker: Worker) -> None:
        """Run a worker, and another one after it, until told to stop."""
        while not self.stopping:
            code = await self._run(worker)
            if self.stopping:
                return
            self._pass_on(worker, self.told.left(worker.number))
            if not worker.ready.is_set():
                return
            log.error("worker %d ended with %d: starting another", worker.number, code)
            await asyncio.sleep(RESTART_PAUSE)

    async def _run(self, worker: Worker) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            worker.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "system.router.worker", str(theirs.fileno()), str(worker.number)),
                pass_fds=[theirs.fileno()],
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 26)
        worker.writer = writer
        writer.write(base64.b64encode(pickle.dumps(self._share())) + b"\n")
        writer.write(self.told.welcome(worker.number))
        try:
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    if line == b"ready\n":
                        worker.ready.set()
                        self._pass_on(worker, b'{"joined":%d}\n' % worker.number)
                    else:
                        self.told.hear(worker.number, line)
                        self._pass_on(worker, line)
        finally:
            worker.writer = None
            writer.close()
        return await worker.process.wait()

    def _share(self) -> RouterConfig:
        """A worker's share of what is limited for the router as a whole."""
        config = self.config
        return replace(config, max_outstanding=math.ceil(config.max_outstanding / config.workers))

    def _pass_on(self, worker: Worker, line: bytes) -> None:
        for other in self.workers:
            if other is not worker and other.writer is not None and not other.writer.is_closing():
                other.writer.write(line)

    def tell_to_leave(self) -> None:
        self.stopping = True
        for worker in self.workers:
            if worker.writer is not None and worker.writer.can_write_eof():
                worker.writer.write_eof()

    def kill(self) -> None:
        for worker in self.workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.process.kill()


@asynccontextmanager
async def workers(config: RouterConfig, reserved: socket.socket) -> AsyncIterator[asyncio.Future[str]]:
    """As many routers as configured on the address of `reserved`, which itself accepts nothing."""
    port = reserved.getsockname()[1]
    hub = Hub(replace(config, port=port))
    reserved.close()
    keeping = [asyncio.create_task(hub.keep(worker)) for worker in hub.workers]
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    try:
        await _all_ready(hub, keeping)
        for task in keeping:
            task.add_done_callback(lambda _: _report(hub, ended))
        yield ended
    finally:
        hub.tell_to_leave()
        try:
            await asyncio.wait(keeping, timeout=config.drain + 1)
        finally:
            hub.kill()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)


async def _all_ready(hub: Hub, keeping: list[asyncio.Task[None]]) -> None:
    ready = asyncio.gather(*(worker.ready.wait() for worker in hub.workers))
    waiting: list[asyncio.Future[Any]] = [ready, *keeping]
    await asyncio.wait(waiting, timeout=START_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        msg = f"not all of {len(hub.workers)} workers could start; what they said stands above"
        raise StartupError(msg)


def _report(hub: Hub, ended: asyncio.Future[str]) -> None:
    if not hub.stopping and not ended.done():
        ended.set_result("a worker could not be started again")
