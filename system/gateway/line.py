"""The line to a provider: requests over kept connections, as coroutines; on the router's connection pool.

The SDKs send through it (transport.py), and so does what is passed on as bytes (passing.py).
"""

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from system.router.outcomes import Failure
from system.router.upstream import Connection, Head, Pool

IDLE = 30.0  # seconds for which a connection is kept that nobody uses
HIGH = 256 * 1024  # bytes that wait to be read before the provider is made to wait


class LineBroke(Exception):
    """No answer, or no more of it; `sent` says whether the provider may have seen the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Late(LineBroke):
    """The provider took longer than it may."""


class Reply:
    """An answer on its way: what a connection delivers, for a coroutine that takes it."""

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.lines: list[bytes] = []
        """The headers that go on, each with its end."""
        self.streamed = False
        self.retry_after = b""
        self._connection: Connection | None = connection
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._held = self._begun = self._done = False
        self._broke: LineBroke | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._asked = asyncio.get_running_loop().time()

    # the connection's side: upstream.Sink

    def head(self, head: Head) -> None:
        self.status, self.lines = head.status, head.lines
        self.streamed, self.retry_after = head.streamed, head.retry_after
        self._begun = True

    def body(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > HIGH and not self._held and self._connection is not None:
            self._held = True
            self._connection.pause()

    def flush(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def done(self) -> None:
        self._done, self._connection = True, None
        self.flush()

    def failed(self, failure: Failure, why: str) -> None:
        self._broke, self._connection = LineBroke(f"{failure.value}: {why}", sent=True), None
        self.flush()

    # the coroutine's side

    async def begun(self, within: float) -> None:
        """Wait for the head."""
        while not self._begun:
            await self._news(within)

    async def parts(self, within: float) -> AsyncIterator[bytes]:
        """The body as it comes; each pause may last `within` seconds."""
        while True:
            while self._parts:
                yield self._take()
            if self._done:
                return
            await self._news(within)

    async def whole(self, within: float) -> bytes:
        """All of the body, within so many seconds since it was asked for."""
        until = self._asked + within
        while not self._done:
            if self._held:
                self._take_all()
            await self._news(max(0.0, until - asyncio.get_running_loop().time()))
        return b"".join(self._parts) if len(self._parts) != 1 else self._parts[0]

    def abandon(self) -> None:
        """Nobody wants the rest: the provider sees the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def _take(self) -> bytes:
        part = self._parts.popleft()
        self._size -= len(part)
        if self._size <= HIGH:
            self._go_on()
        return part

    def _take_all(self) -> None:
        self._parts = deque([b"".join(self._parts)])
        self._size = 0
        self._go_on()

    def _go_on(self) -> None:
        if self._held and self._connection is not None:
            self._held = False
            self._connection.resume()

    async def _news(self, within: float) -> None:
        if self._broke is not None:
            raise self._broke
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = loop.call_later(within, _expire, waiter)
        try:
            await waiter
        except (Late, asyncio.CancelledError):
            self.abandon()
            raise
        finally:
            timer.cancel()
            self._waiter = None
        if self._broke is not None and not self._parts:
            raise self._broke


def _expire(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_exception(Late("no answer in time", sent=True))


class Line:
    """The connections to one address."""

    def __init__(self, url: str, *, connect_timeout: float, tls: Callable[[], ssl.SSLContext]) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self.host_line = f"host: {parts.netloc.rpartition('@')[2]}\r\n".encode()
        self._where = (parts.hostname or "", parts.port or (443 if self._secure else 80))
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._tidied = 0.0
        self._pool: Pool | None = None

    async def send(self, head: bytes, body: bytes, within: float) -> Reply:
        """Send a request; returns once its answer has begun. Raises LineBroke.

        A kept connection may have been closed as we sent: that is tried once more on a new one.
        """
        pool = self._ready()
        connection = pool.take()
        if connection is not None:
            try:
                return await _exchanged(connection, head, body, within)
            except Late:
                raise
            except LineBroke:
                pool.drop_idle()
        return await _exchanged(await self._connected(pool), head, body, within)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _ready(self) -> Pool:
        now = time.monotonic()
        if self._pool is None:
            host, port = self._where
            self._pool = Pool(
                host,
                port,
                tls=self._tls() if self._secure else None,
                clock=time.monotonic,
                connect_timeout=self._connect_timeout,
                idle_timeout=IDLE,
            )
        if now - self._tidied > 1.0:
            self._tidied = now
            self._pool.close_idle(now)
        return self._pool

    async def _connected(self, pool: Pool) -> Connection:
        try:
            return await pool.connect()
        except TimeoutError:
            msg = f"no connection within {self._connect_timeout:g} s"
            raise Late(msg, sent=False) from None
        except OSError as error:
            raise LineBroke(_plain(error), sent=False) from None


async def _exchanged(connection: Connection, head: bytes, body: bytes, within: float) -> Reply:
    reply = Reply(connection)
    connection.request(reply, head, body)
    await reply.begun(within)
    return reply


def _plain(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    with contextlib.suppress(TypeError, ValueError):
        if error.strerror:
            return error.strerror
    return str(error) or type(error).__name__
