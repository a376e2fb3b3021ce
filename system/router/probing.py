"""Asks backends themselves how they are: the ones found down often, so that they are used again at once."""

import asyncio
import time

from system.router.backends import Backend
from system.router.fetch import FetchError, get
from system.router.proxy import Proxy

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
GROWTH = 1.3


class Probing:
    """Probes every backend that was found down until it answers, registers anew, or leaves."""

    def __init__(self, proxy: Proxy, *, timeout: float) -> None:
        self._proxy = proxy
        self._timeout = timeout
        self._tasks: dict[Backend, asyncio.Task[None]] = {}

    def watch(self, backend: Backend) -> None:
        """Begin to probe a backend that was found down."""
        if backend not in self._tasks:
            task = asyncio.ensure_future(self._until_it_answers(backend))
            self._tasks[backend] = task
            task.add_done_callback(lambda _: self._tasks.pop(backend, None))

    async def _until_it_answers(self, backend: Backend) -> None:
        pause = FIRST_PAUSE
        while self._is_down(backend):
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * GROWTH)
            if self._is_down(backend) and await self.answers(backend):
                self._proxy.lives(backend, "it answers")

    def _is_down(self, backend: Backend) -> bool:
        return not backend.usable and self._proxy.table.backends.get(backend.name) is backend

    async def answers(self, backend: Backend) -> bool:
        """Whether the backend itself answers /health; one that has no such page is alive as well."""
        began = time.monotonic()
        try:
            status, _ = await get(
                self._proxy.pool(backend), "/health", host=backend.entry.authority, timeout=self._timeout
            )
        except FetchError:
            return False
        backend.probe_seconds = time.monotonic() - began
        return status < 300 or status in (401, 404, 405)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
