"""Asks backends themselves how they are, each by itself, for as long as it is in the table.

One that answers is asked now and then. One that does not is asked often, so that it is used again at once.
One that is suspiciously silent is asked out of turn.
"""

import asyncio
import time
from collections.abc import Iterable
from random import Random

from system.router.backends import Backend
from system.router.fetch import FetchError, get
from system.router.outcomes import Failure
from system.router.proxy import Proxy
from system.router.suspicion import Suspicion

FIRST_PAUSE = 0.05  # seconds between probes of a backend that has just been found down
LONGEST_PAUSE = 1.0
GROWTH = 1.3
LOOK_EVERY = 0.05  # seconds between glances at who is silent
GLANCES_PER_SECOND = 100_000  # with more backends than that allows each is glanced at less often
PROBES_PER_SECOND = 500  # with more backends than that each is asked less often


class Probing:
    """Probes every backend of the table."""

    def __init__(
        self,
        proxy: Proxy,
        *,
        interval: float,
        timeout: float,
        patience: int,
        random: Random,
        suspicion: Suspicion,
        suspect_timeout: float,
    ) -> None:
        self._proxy = proxy
        self._interval = interval
        self._timeout = timeout
        self._patience = patience
        self._random = random
        self._suspicion = suspicion
        self._suspect_timeout = suspect_timeout
        self._tasks: dict[Backend, asyncio.Task[None]] = {}
        self._wakes: dict[Backend, asyncio.Event] = {}
        self._looks: dict[Backend, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def begin(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            self._wakes[backend] = asyncio.Event()
            self._tasks[backend] = asyncio.ensure_future(self._probe(backend))

    def end(self, backends: Iterable[Backend]) -> None:
        """Backends have left the table; one with requests on their way is asked until they are done."""
        for backend in backends:
            self._tasks.pop(backend).cancel()
            self._wakes.pop(backend).set()
            if backend.outstanding:
                task = asyncio.ensure_future(self._see_off(backend))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    def hurry(self, backend: Backend) -> None:
        """A backend was found down by a request: ask often until it is back."""
        if backend in self._wakes:
            self._wakes[backend].set()

    async def close(self) -> None:
        tasks = [*self._tasks.values(), *self._looks.values(), *self._leaving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def watch_silence(self) -> None:
        """Look at whoever is suspiciously silent, for as long as the router runs."""
        backends = self._proxy.table.backends
        while True:
            await asyncio.sleep(max(LOOK_EVERY, len(backends) / GLANCES_PER_SECOND))
            now = self._proxy.clock()
            for backend in [one for one in backends.values() if self._suspicion.is_due(one, now)]:
                if backend.healthy and backend not in self._looks:
                    self._looks[backend] = asyncio.create_task(self._look(backend))

    async def _look(self, backend: Backend) -> None:
        """Ask a silent backend for a sign of life; whoever is slow at that by habit gets more time."""
        seconds = max(self._suspect_timeout, 3 * backend.probe_seconds)
        try:
            if await self._status(backend, seconds) is None:
                self._proxy.suspect(backend, f"silent, and no answer to a probe within {seconds:g} s")
            else:
                self._suspicion.allay(backend, self._proxy.clock())
        finally:
            del self._looks[backend]

    async def _probe(self, backend: Backend) -> None:
        pause, failures = FIRST_PAUSE, 0
        while True:
            if backend.healthy and not failures:
                pause = FIRST_PAUSE
                await self._rest(backend)
            else:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * GROWTH)
            failures = 0 if await self._answers(backend) else failures + 1
            if not failures:
                self._proxy.lives(backend, "it answers")
            elif failures >= self._patience and backend.down_since is None:
                self._proxy.silent(backend, f"{failures} probes in a row failed")

    async def _see_off(self, backend: Backend) -> None:
        """A backend whose lease ended may be frozen: what waits for it must not wait for ever."""
        failures = 0
        while backend.outstanding:
            failures = 0 if await self._answers(backend) else failures + 1
            if failures >= self._patience:
                self._proxy.silent(backend, f"it left the registry, {failures} probes in a row failed")
                return
            await asyncio.sleep(LONGEST_PAUSE)

    async def _rest(self, backend: Backend) -> None:
        """Wait for the next probe, or until a request finds the backend down."""
        wake = self._wakes[backend]
        wake.clear()
        try:
            async with asyncio.timeout(self._pause()):
                await wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(FIRST_PAUSE)

    def _pause(self) -> float:
        interval = max(self._interval, len(self._tasks) / PROBES_PER_SECOND)
        return interval * self._random.uniform(0.8, 1.2)

    async def _answers(self, backend: Backend) -> bool:
        """Whether the backend answers that it is well; one that has no such page is alive as well."""
        status = await self._status(backend, self._timeout)
        return status is not None and (status < 300 or status in (401, 404, 405))

    async def _status(self, backend: Backend, seconds: float) -> int | None:
        """What the backend answers on /health within the time, if anything."""
        began = time.monotonic()
        try:
            status, _ = await get(
                self._proxy.pool(backend),
                "/health",
                host=backend.entry.authority,
                headers=self._proxy.settings.peer_headers,
                timeout=seconds,
            )
        except FetchError as error:
            if error.failure in (Failure.REFUSED, Failure.CONNECT_TIMEOUT):
                self._proxy.failed(backend, error.failure, str(error))
            return None
        backend.probe_seconds = time.monotonic() - began
        return status
