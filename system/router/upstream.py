"""Keep-alive connections to one backend, on httptools: one request at a time, strict about framing."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from system.router.familiar import Familiar
from system.router.headers import RESPONSE_HEADERS, without_nominated
from system.router.outcomes import Failure
from system.router.spool import Spool

LARGEST_HEAD = 262_144  # bytes of an answer's head
JOINED_BODY = 65_536  # bytes up to which head and body go out in one piece


class Head:
    """A response's head: what to pass on, and how its body is framed."""

    status = 0
    length: int | None = None
    chunked = False
    closing = False
    streamed = False
    bodiless = False
    nominated = b""
    retry_after = b""

    until_close = False  # the body ends where the connection does
    endless = False  # nothing in the head says where the body ends

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def settle(self, *, head_only: bool) -> None:
        """Work out how the body is framed, once all headers were read."""
        if self.nominated:
            without_nominated(self.lines, self.nominated)
        self.bodiless = head_only or self.status in (204, 304)
        self.until_close = not self.chunked and self.length is None and not self.bodiless
        self.endless = self.until_close or (self.chunked and not self.bodiless)

    def compact(self) -> "Head":
        """The same, with its lines in one piece."""
        self.lines = [b"".join(self.lines)]
        return self

    @property
    def is_plain(self) -> bool:
        """Whether the same head can be taken for the same again."""
        return self.length is not None and not (self.chunked or self.closing or self.bodiless)


class Sink(Protocol):
    """Who receives an answer. Each batch of calls ends with `flush`, the last with `done` or `failed`."""

    def head(self, head: Head) -> None: ...
    def body(self, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def done(self) -> None: ...
    def failed(self, failure: Failure, why: str) -> None: ...


class Connection(asyncio.Protocol):
    """One connection to a backend."""

    __slots__ = (
        "_begun",
        "_complete",
        "_fresh",
        "_full",
        "_head",
        "_head_bytes",
        "_head_only",
        "_keeps",
        "_parser",
        "_paused",
        "_sent",
        "_spilled",
        "_unsent",
        "closed",
        "idle_since",
        "pool",
        "sink",
        "transport",
        "used",
    )

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.sink: Sink | None = None
        self.transport: asyncio.Transport
        self.closed = False
        self.used = 0
        self.idle_since = 0.0
        self._parser: httptools.HttpResponseParser | None = None
        self._head = Head()
        self._head_bytes = 0
        self._unsent: Spool | None = None
        self._sent = 0
        self._head_only = False
        self._full = False  # the transport holds enough
        self._begun = self._complete = self._spilled = self._paused = self._keeps = False
        self._fresh = False  # nothing of the answer has come

    def request(self, sink: Sink, head: bytes, body: bytes | Spool, *, head_only: bool = False) -> None:
        """Send a request; the answer goes to the sink. An answer to HEAD has no body, whatever it says."""
        self._head_only = head_only
        self.sink = sink
        self.used += 1
        self._begun = self._complete = False
        self._fresh = True
        self._head_bytes = 0
        if not isinstance(body, bytes):
            self.transport.write(head)
            self._unsent, self._sent = body, 0
            self._send_on()
        elif len(body) <= JOINED_BODY:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    def _send_on(self) -> None:
        """Send a large body piece by piece, as fast as the backend takes it."""
        while self._unsent is not None and not self._full and not self.closed:
            piece = self._unsent.piece(self._sent)
            if not piece:
                self._unsent = None
                return
            self._sent += len(piece)
            self.transport.write(piece)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._send_on()

    def pause(self) -> None:
        """Read no further until `resume`: whoever receives the answer is slower than who sends it."""
        if not self._paused and not self.closed:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._paused and not self.closed:
            self._paused = False
            self.transport.resume_reading()

    def abandon(self) -> None:
        """The answer is not wanted any more: the backend sees the connection go."""
        self.sink = self._unsent = None
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.pool.forget(self)
            self.transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        sink = self.sink
        if sink is None:
            self.close()  # bytes nobody asked for: whatever follows could be taken for another's answer
            return
        if not self._fresh:
            self._read(data, 0)
            return
        self._fresh = False
        end = data.find(b"\r\n\r\n") + 4
        known = self.pool.familiar.get(data[:end])
        if known is None or len(data) - end != known.length or self._head_only:
            self._read(data, end)
        else:
            self._take_whole(sink, known, data[end:])

    def _read(self, data: bytes, head_end: int) -> None:
        """Read on; `head_end` is where the head ends if the answer begins with these bytes."""
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                self._fail(Failure.MALFORMED, str(error.__context__ or error))
                return
            self._spilled = True
        sink = self.sink  # a hedge that answers hands over to its exchange
        if sink is None:
            return
        if self._complete:
            if head_end and self._keeps and self._head.is_plain and len(data) - head_end == self._head.length:
                self.pool.familiar.keep(data[:head_end], self._head.compact())
            self._finish(sink)
            return
        if not self._begun:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._fail(Failure.MALFORMED, "its head does not end")
            return
        sink.flush()

    def eof_received(self) -> bool:
        self.closed = self.sink is None  # an idle connection that ended must not be taken any more
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.pool.forget(self)
        self._parser = self._unsent = None
        sink, self.sink = self.sink, None
        if sink is None:
            return
        if exc is None and self._begun and self._head.until_close:
            sink.done()
        else:
            sink.failed(Failure.BROKE, str(exc or "the connection was closed"))

    def _take_whole(self, sink: Sink, head: Head, body: bytes) -> None:
        """An answer in one piece whose head was read before: no need to read it again."""
        self._head = head
        self._begun = self._complete = self._keeps = True
        sink.head(head)
        if self.sink is not None:  # it may have been given up for its status, or changed hands
            self.sink.body(body)
            self._finish(self.sink)

    # httptools' side

    def on_message_begin(self) -> None:
        if self._complete:
            self._spilled = True
        else:
            self._head = Head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            return  # a trailer: nobody asked for it
        read = RESPONSE_HEADERS.get(name.lower())
        if read is None or read(self._head, value):
            self._head.lines.append(b"%b: %b\r\n" % (name, value))

    def on_headers_complete(self) -> None:
        if self._spilled or self._parser is None or self.sink is None:
            return
        head = self._head
        head.status = self._parser.get_status_code()
        if head.status < 200:
            return
        head.settle(head_only=self._head_only)
        self._begun = True
        self.sink.head(head)
        if self._head_only:
            self._complete, self._keeps = True, False  # the parser waits for what does not come

    def on_body(self, data: bytes) -> None:
        if self._complete:
            self._spilled = True  # a body behind the answer to HEAD
        elif self.sink is not None:
            self.sink.body(data)

    def on_message_complete(self) -> None:
        if self._begun and self._parser is not None:
            self._complete = True
            self._keeps = self._parser.should_keep_alive()  # it has forgotten when the next bytes come

    def _fail(self, failure: Failure, why: str) -> None:
        sink, self.sink = self.sink, None
        self._unsent = None
        self.close()
        if sink is not None:
            sink.failed(failure, why)

    def _finish(self, sink: Sink) -> None:
        """The answer is whole: keep the connection if it is as clean as a new one."""
        self.sink = None
        if self._paused:
            self.resume()
        unsent = self._unsent is not None or self.transport.get_write_buffer_size()
        if self._spilled or self._head.closing or unsent or not self._keeps:
            self._unsent = None
            self.close()
        else:
            self.pool.give_back(self)
        sink.done()


def notice_a_cut(sock: socket.socket, seconds: float) -> None:
    """Let a connection break when what is sent stays unacknowledged for so long: nobody is there.

    A peer that is only slow acknowledges: its kernel does. Where there is no such option, probes find out.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


class Pool:
    """The connections to one backend. The most recently used is used first; old idle ones are closed."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        clock: Callable[[], float],
        connect_timeout: float,
        idle_timeout: float,
        familiar: Familiar[Head] | None = None,
    ) -> None:
        self.familiar = Familiar() if familiar is None else familiar
        self._address = (host, port)
        self._tls = tls
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self.idle: list[Connection] = []
        self.closed = False

    def take(self) -> Connection | None:
        """A connection that is open already, if there is one."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    async def connect(self) -> Connection:
        """A new connection; raises OSError or TimeoutError."""
        loop = asyncio.get_running_loop()
        host, port = self._address
        async with asyncio.timeout(self._connect_timeout):
            _, connection = await loop.create_connection(lambda: Connection(self), host, port, ssl=self._tls)
        notice_a_cut(connection.transport.get_extra_info("socket"), self._connect_timeout)
        return connection

    def give_back(self, connection: Connection) -> None:
        if self.closed:
            connection.close()
            return
        connection.idle_since = self._clock()
        self.idle.append(connection)

    def forget(self, connection: Connection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)

    def close_idle(self, now: float) -> None:
        """Close what has been idle for too long: a backend may close it in the moment we send."""
        oldest = now - self._idle_timeout
        for connection in [one for one in self.idle if one.idle_since < oldest]:
            connection.close()

    def drop_idle(self) -> None:
        """Close every idle connection: the backend they lead to is not there any more."""
        for connection in list(self.idle):
            connection.close()

    def close(self) -> None:
        """No connection is kept any more; what is on its way may finish."""
        self.closed = True
        self.drop_idle()
