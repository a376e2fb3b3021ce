"""Open connections of registered replicas: each is told that it is registered, and every 5 s "alive"."""

import asyncio
import json
from collections import deque
from typing import Any

from system.asgi import Send

MEDIA = "text/event-stream"
ALIVE_EVERY = 5.0
TOGETHER = 0.02  # seconds: events due this close to one another go out in one go


def event(document: dict[str, Any]) -> bytes:
    """An event as the seed prints it: with spaces, and only a data line."""
    return b"data: %s\n\n" % json.dumps(document).encode()


ALIVE = event({"status": "alive"})


class Stream:
    """One connection. Nobody waits for a peer that does not read: while it is stuck it is told nothing."""

    __slots__ = ("_send", "open")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.open = True

    async def say(self, data: bytes, *, last: bool = False) -> None:
        if not self.open:
            return
        self.open = not last
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def beat(self) -> None:
        """Say "alive", unless the peer does not read: that shows at once, without a task to find out."""
        saying = self.say(ALIVE)
        try:
            saying.send(None)
        except StopIteration:
            return
        saying.close()


class Streams:
    """All of them, and the one timer that says "alive" to each in its turn."""

    def __init__(self) -> None:
        self._by_lease: dict[str, Stream] = {}
        self._turns: deque[tuple[float, Stream]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._saying: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._by_lease)

    def add(self, lease_id: str, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        self._by_lease[lease_id] = stream
        self._turns.append((loop.time() + ALIVE_EVERY, stream))
        if self._timer is None:
            self._timer = loop.call_later(ALIVE_EVERY, self._take_turns)

    def discard(self, lease_id: str) -> None:
        self._by_lease.pop(lease_id, None)

    def tell(self, lease_id: str, status: str, *, last: bool = False, **facts: Any) -> None:
        """Say something to the holder of a lease, if it is connected here."""
        stream = self._by_lease.get(lease_id)
        if stream is not None:
            self._say(stream, event({"status": status, **facts}), last=last)

    async def end(self, status: str) -> None:
        """Tell everybody that this is the end, and wait until they were told or do not listen."""
        for stream in self._by_lease.values():
            self._say(stream, event({"status": status}), last=True)
        if self._saying:
            await asyncio.wait(self._saying, timeout=1.0)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say(self, stream: Stream, data: bytes, *, last: bool = False) -> None:
        task = asyncio.get_running_loop().create_task(stream.say(data, last=last))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)

    def _take_turns(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + TOGETHER
        while self._turns and self._turns[0][0] <= until:
            due, stream = self._turns.popleft()
            if stream.open:
                self._turns.append((due + ALIVE_EVERY, stream))
                stream.beat()
        self._timer = loop.call_at(self._turns[0][0], self._take_turns) if self._turns else None
