"""Nobody is asked on behalf of a client that has left."""

import asyncio
from types import TracebackType
from typing import Self

from system.asgi import Receive

WATCH_AFTER = 0.05  # seconds: most answers are there before, and a watcher costs more than they do


class UntilLeft:
    """`async with UntilLeft(receive) as client: ...`: the block is cancelled once the client leaves.

    It then ends without an error, with `client.left` set. The request's body must have been read.
    """

    def __init__(self, receive: Receive) -> None:
        self.left = False
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if not self.left or self._task is None:
            return False
        return self._task.uncancel() == 0 and kind is asyncio.CancelledError

    def _begin(self) -> None:
        self._watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        if self._task is not None:
            self._task.cancel()
