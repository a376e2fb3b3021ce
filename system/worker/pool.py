"""A bounded pool of threads whose results come back to the loop in batches.

`ThreadPoolExecutor` costs two futures, a condition and a wake-up of the loop for every call, which is more
than all else that a worker does for a small one (`python -m benchmarks.worker`, "pooled"). Here the loop is
woken once for whatever has ended since.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Pool:
    """At most `threads` calls run at a time; the others wait in the order in which they came."""

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[Thread] = []
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        self._ended: deque[tuple[asyncio.Future[Any], Any, Exception | None]] = deque()
        self._woken = False

    async def run(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises, from a thread. If cancelled before it began, it does not begin."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.put((work, future))
        if len(self._threads) < self._most:
            self._start()
        return await future

    def close(self) -> None:
        """Take no more; each thread ends with what it is doing."""
        for _ in self._threads:
            self._waiting.put(None)

    def _start(self) -> None:
        thread = Thread(target=self._serve, name=f"handler_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while (one := self._waiting.get()) is not None:
            work, future = one
            if not future.cancelled():
                self._hand_over(future, *_done(work))

    def _hand_over(self, future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
        self._ended.append((future, result, error))
        if not self._woken:
            self._woken = True
            loop = future.get_loop()
            if not loop.is_closed():  # a handler that outlived its server: nobody waits
                loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before looking: what ends from now on wakes the loop again
        while self._ended:
            future, result, error = self._ended.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def _done(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return work(), None
    except StopIteration as error:  # a future takes it for its own
        return None, RuntimeError(f"StopIteration: {error}")
    except Exception as error:  # noqa: BLE001 - whoever waits is told
        return None, error
    except BaseException as error:  # noqa: BLE001 - sys.exit() in a handler ends the call, not the worker
        return None, RuntimeError(f"{type(error).__name__}: {error}")
