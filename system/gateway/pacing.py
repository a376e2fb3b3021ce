"""Keeps one pass of the event loop short: of many that could go on at once, a few do, the others next time.

Five hundred answers that arrive in the same moment would otherwise be taken apart in one pass, half a second
long, and a probe of /health/live would wait for all of them.
"""

import asyncio
from collections import deque

PER_PASS = 4


class Pacer:
    """`await pacer.turn()`, at the beginning of whatever costs about a millisecond of computing."""

    def __init__(self, per_pass: int = PER_PASS) -> None:
        self._per_pass = per_pass
        self._left = per_pass
        self._refilling = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Go on in this pass of the loop, or in one of the next; first come, first served."""
        loop = asyncio.get_running_loop()
        if not self._refilling:
            self._refilling = True
            loop.call_soon(self._refill)
        if self._left > 0 and not self._waiting:
            self._left -= 1
            return
        waiter = loop.create_future()
        self._waiting.append(waiter)
        await waiter

    def _refill(self) -> None:
        """A new pass: let the next few go on."""
        self._left = self._per_pass
        while self._waiting and self._left > 0:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._left -= 1
                waiter.set_result(None)
        self._refilling = bool(self._waiting)
        if self._refilling:
            asyncio.get_running_loop().call_soon(self._refill)
