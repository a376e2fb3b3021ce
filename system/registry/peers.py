"""Connections that do not last for ever: dead peers, slow ones and too many of them, at uvicorn's protocol.

TCP itself finds out that a peer's cable was pulled: keepalive asks while nothing is under way, the user
timeout ends what is not acknowledged. Both are set on every connection, so a plain `curl` is covered too. A
frozen process is not found out by this: its kernel still answers.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SILENT = "silent"
"""The key of a request's state under which its connection says that its peer vanished without a word."""
ABORT = "abort"
"""The key under which a request finds what ends its connection without waiting for the peer."""
LONGEST_HEADERS = 64 * 1024
SLOWEST_HEADERS = 10.0  # seconds from the first byte, or from the connection, to the end of the headers
SLOWEST_UNREAD = 11.0  # seconds for a body that nobody reads; who reads one gives up before, and answers
SHORTEST = 3.0  # seconds: a user timeout of one, and two intervals by which it may be noticed late
LOOKED_AFTER = 1.0  # seconds between looks at connections that are not done with what they send


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How TCP is told to find out that a peer is gone."""

    idle: int
    interval: int
    user_timeout_ms: int

    @classmethod
    def within(cls, seconds: float) -> "Keepalive":
        """Gone means: no answer for so long; holds from SHORTEST up, as TCP counts in whole seconds."""
        interval = max(1, int(seconds / 5))
        return cls(interval, interval, int(1000 * max(1.0, seconds - 2 * interval)))

    def apply(self, connection: Any) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in self._options():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def _options(self) -> list[tuple[int, int]]:
        wanted = {
            "TCP_KEEPIDLE": self.idle,
            "TCP_KEEPINTVL": self.interval,
            "TCP_KEEPCNT": 3,
            "TCP_USER_TIMEOUT": self.user_timeout_ms,
        }
        return [(getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)]


class Peers:
    """All connections of one server: how many there may be, and which are not done with what they send."""

    def __init__(self, most: int, keepalive: Keepalive) -> None:
        self.most = most
        self.keepalive = keepalive
        self.open = 0
        self.refused = 0
        self.slow = 0
        self._awaited: dict[PeerProtocol, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def protocol(self) -> type["PeerProtocol"]:
        """The protocol class for uvicorn: it makes one object of it for each connection."""
        return type("PeerProtocol", (PeerProtocol,), {"peers": self})

    def expect(self, connection: "PeerProtocol", within: float) -> None:
        """The rest of what it has begun to send; the first time that is set counts."""
        loop = asyncio.get_running_loop()
        self._awaited.setdefault(connection, loop.time() + within)
        if self._timer is None:
            self._timer = loop.call_later(LOOKED_AFTER, self._look)

    def came(self, connection: "PeerProtocol") -> None:
        self._awaited.pop(connection, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [connection for connection, deadline in self._awaited.items() if deadline <= now]
        for connection in late:
            del self._awaited[connection]
            self.slow += 1
            connection.transport.abort()
        self._timer = loop.call_later(LOOKED_AFTER, self._look) if self._awaited else None


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits."""

    peers: Peers
    in_message = True
    in_headers = True
    in_body = False
    beside_body = 0  # bytes of headers, or of whatever came since the latest piece of the body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.peers.open += 1
        if self.peers.open > self.peers.most:
            self.peers.refused += 1
            transport.abort()
            return
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            self.peers.keepalive.apply(connection)
        self.peers.expect(self, SLOWEST_HEADERS)

    def connection_lost(self, exc: Exception | None) -> None:
        self.peers.open -= 1
        self.peers.came(self)
        if isinstance(exc, TimeoutError) and self.scope is not None:
            self.scope["state"][SILENT] = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.in_message:
            return
        self.beside_body = 0 if self.in_body else self.beside_body + len(data)
        self.in_body = False
        if self.beside_body > LONGEST_HEADERS:
            self.transport.close()
        else:
            self.peers.expect(self, SLOWEST_HEADERS if self.in_headers else SLOWEST_UNREAD)

    def on_message_begin(self) -> None:
        self.in_message = self.in_headers = True
        self.beside_body = 0
        super().on_message_begin()
        self.scope["state"][ABORT] = self.transport.abort

    def on_headers_complete(self) -> None:
        self.in_headers = False
        self.peers.came(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.in_body = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.in_message = False
        self.peers.came(self)
        super().on_message_complete()
