"""What the processes of one router tell each other: who is down, what breakers do, what was counted.

Lines of JSON over a socket to the parent, which passes each on to the others. Every process decides by
itself; what another has found out is taken over, not asked for.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from system.breaker import Snapshot, State
from system.router.backends import Backend
from system.router.metrics import count
from system.router.sums import Sums

if TYPE_CHECKING:
    from system.router.discovery import Registry
    from system.router.proxy import Proxy

COUNTED_EVERY = 0.25  # seconds


class Shared:
    """One process's end."""

    def __init__(self, channel: socket.socket, number: int) -> None:
        self._channel = channel
        self._number = number
        self._writer: asyncio.StreamWriter | None = None
        self._others: dict[int, Sums] = {}
        self._departed = Sums({}, {})
        self._count: Callable[[], Sums] = lambda: Sums({}, {})
        self.welcomed = asyncio.Event()  # what was counted before this process began is known
        self.left = asyncio.Event()

    def others(self) -> list[Sums]:
        """What the others counted, as of a moment ago, and what those had that are gone.

        Whoever asks is about to be told this process's own counts: they are told first, so that they do not
        go backwards should this process end.
        """
        self._tell_counts()
        return [*self._others.values(), self._departed]

    async def follow(self, proxy: "Proxy", registries: Sequence["Registry"]) -> None:
        """Tell and hear, until the parent is gone."""
        reader, self._writer = await asyncio.open_connection(sock=self._channel, limit=1 << 26)
        proxy.tell = self._tell
        self._count = lambda: count(proxy, registries)
        telling = asyncio.create_task(self._keep_telling())
        try:
            while line := await reader.readline():
                self._hear(orjson.loads(line), proxy)
        except ConnectionError:
            pass
        finally:
            telling.cancel()
            self._writer.close()
            self.left.set()

    def ready(self) -> None:
        """Tell the parent that clients are served."""
        assert self._writer is not None
        self._writer.write(b"ready\n")

    async def _keep_telling(self) -> None:
        while True:
            self._tell_counts()
            await asyncio.sleep(COUNTED_EVERY)

    def _tell_counts(self) -> None:
        self._send({"counts": self._count().as_json()})

    def _tell_all(self, proxy: "Proxy") -> None:
        """Somebody joined late: say what is not as it should be."""
        for backend in proxy.table.backends.values():
            if backend.down_since is not None:
                self._tell(backend, "down")
            elif backend.silent:
                self._tell(backend, "silent")
            if backend.breaker.version:
                self._tell(backend, "breaker")

    def _tell(self, backend: Backend, what: str) -> None:
        """Something was found out about a backend."""
        message: dict[str, Any] = {what: backend.name, "url": backend.entry.url, "reason": backend.reason}
        if what == "breaker":
            snapshot = backend.breaker.snapshot()
            message |= {"state": snapshot.state.value, "version": snapshot.version, "until": snapshot.until}
            message["rests_until"] = backend.breaker.rests_until
        self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(orjson.dumps({"from": self._number, **message}) + b"\n")

    def _hear(self, message: dict[str, Any], proxy: "Proxy") -> None:
        if "departed" in message:
            self._departed = Sums.from_json(message["departed"])
            self._others.pop(message.get("gone", self._number), None)
            self.welcomed.set()
        elif "joined" in message:
            self._tell_all(proxy)
        elif "counts" in message:
            self._others[message["from"]] = Sums.from_json(message["counts"])
        elif "down" in message:
            self._about(message["down"], message, proxy, proxy.heard_down)
        elif "silent" in message:
            self._about(message["silent"], message, proxy, proxy.heard_silent)
        elif "up" in message:
            self._about(message["up"], message, proxy, proxy.heard_up)
        elif "breaker" in message:
            snapshot = Snapshot(
                state=State(message["state"]), version=message["version"], until=message["until"]
            )
            self._about(
                message["breaker"],
                message,
                proxy,
                lambda backend, _: proxy.heard_breaker(backend, snapshot, message["rests_until"]),
            )

    @staticmethod
    def _about(name: str, message: dict[str, Any], proxy: "Proxy", take: Any) -> None:
        backend = proxy.table.backends.get(name)
        if backend is not None and backend.entry.url == message["url"]:
            take(backend, message["reason"])
