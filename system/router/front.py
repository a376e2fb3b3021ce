"""A client's connection: its requests are answered one after the other, in order."""

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, cast

from system.router.exchange import Exchange
from system.router.reader import Reader, Refused
from system.router.refusals import REASONS, TOO_SLOW, Refusal
from system.router.request import Request

if TYPE_CHECKING:
    from system.router.proxy import Proxy

PIPELINED = 16  # requests that may wait behind the one being answered before reading stops
LINGER = 2.0  # seconds in which a refused client may go on sending, so that it gets to read the refusal
BODY_PACE = 10_000  # bytes per second with which a body must arrive, beyond the time every request has

_STARTS = {
    status: b"HTTP/1.1 %d %b\r\nx-request-id: " % (status, text.encode()) for status, text in REASONS.items()
}


class Phase(Enum):
    """What a connection is waiting for."""

    IDLE = "idle"  # a request to begin
    READING = "reading"  # the rest of one
    ANSWERING = "answering"  # a backend
    LEAVING = "leaving"  # the client to stop sending


IDLE, READING, ANSWERING, LEAVING = Phase  # looking them up in the Enum is slow


class Front(asyncio.Protocol):
    """One connection of a client."""

    __slots__ = (
        "_answering",
        "_exchange",
        "_held",
        "_reader",
        "_refusal",
        "left",
        "phase",
        "proxy",
        "since",
        "stuck",
        "transport",
    )

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.transport: asyncio.Transport
        self.phase = IDLE
        self.since = 0.0  # when this phase began
        self.stuck: float | None = None  # since when the client does not read
        self.left = False
        self._reader = Reader(proxy.limits, proxy.admits, proxy.readers, proxy.familiar)
        self._exchange: Exchange | None = None
        self._answering = False  # the loop below is running: who ends an exchange must not start another
        self._held = False  # reading has stopped: enough requests wait
        self._refusal: Refusal | None = None  # what ends the connection once everything before it is answered

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self.since = self.proxy.clock()
        self.proxy.fronts.add(self)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None or self.left:
            return  # a client on its way out: the rest is not read
        reader = self._reader
        try:
            reader.feed(data)
        except Refused as refused:
            self._refusal = refused.refusal
        if self.phase is IDLE and reader.reading:
            self._enter(READING)
        if self._exchange is None:
            self._answer_ready()
        elif len(reader.ready) > PIPELINED:
            self._held = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.left = True
        self.proxy.fronts.discard(self)
        exchange, self._exchange = self._exchange, None
        self._reader.close()
        if exchange is not None:
            exchange.client_left()

    def pause_writing(self) -> None:
        self.stuck = self.proxy.clock()
        if self._exchange is not None:
            self._exchange.client_is_slow()

    def resume_writing(self) -> None:
        self.stuck = None
        if self._exchange is not None:
            self._exchange.client_caught_up()

    # one request after the other

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, self.proxy.clock()

    def _answer_ready(self) -> None:
        """Answer what has been read; a loop, because a client may send a thousand requests at once."""
        if self._answering:
            return
        self._answering = True
        ready = self._reader.ready
        while ready and self._exchange is None and not self.left:
            self.phase = ANSWERING
            self._exchange = exchange = self.proxy.begin(self, ready.popleft())
            if exchange is not None:
                exchange.attempt()
        self._answering = False
        if self._exchange is None and not self.left:
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        if self._refusal is not None:
            self._refuse_and_leave(self._refusal)
            return
        if self._reader.asks:
            self._reader.asks = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.phase is ANSWERING:
            self._enter(READING if self._reader.reading else IDLE)

    def exchanged(self, exchange: Exchange) -> None:
        """An exchange has ended; the connection goes on unless its answer closed it."""
        if self._exchange is not exchange:
            return
        self._exchange = None
        if self.left:
            return
        if exchange.closing:
            self.leave()
            return
        if self._held:
            self._held = False
            self.transport.resume_reading()
        reader = self._reader
        if reader.ready or reader.reading or self._refusal is not None:
            self._answer_ready()
        else:
            self._enter(IDLE)

    @property
    def busy(self) -> bool:
        return self._exchange is not None

    # writing

    def write(self, data: bytes) -> None:
        if not self.left:
            self.transport.write(data)

    def head(self, status: int, request: Request, *, closing: bool) -> bytes:
        """Status line and the headers every answer has."""
        start = _STARTS.get(status) or b"HTTP/1.1 %d \r\nx-request-id: " % status
        return start + request.id + (b"\r\nconnection: close\r\n" if closing else b"\r\n")

    def respond(
        self, status: int, content_type: bytes, body: bytes, request: Request, headers: bytes = b""
    ) -> None:
        """A whole answer of the router's own."""
        closing = request.closing or self.proxy.draining
        head = self.head(status, request, closing=closing)
        lines = b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type, len(body))
        self.write(b"".join((head, lines, headers, b"\r\n", b"" if request.method == b"HEAD" else body)))
        if closing and self._exchange is None:
            self.leave()

    def refuse(self, refusal: Refusal, request: Request) -> None:
        self.proxy.totals.refusals[refusal.code or refusal.type] += 1
        request.close()
        headers = b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
        self.respond(refusal.status, b"application/json", refusal.body, request, headers)

    # ending

    def leave(self) -> None:
        """Close once everything was written."""
        self._enter(LEAVING)
        self.left = True
        self.transport.close()

    def abort(self) -> None:
        """Close at once, in the middle of an answer: the client must not take it for a whole one."""
        self.left = True
        self.transport.abort()

    def _refuse_and_leave(self, refusal: Refusal) -> None:
        """Refuse a request that was not read to its end, and let the client read that before it is closed."""
        request = Request()
        request.closing = True
        request.id = self.proxy.new_id()
        self._enter(LEAVING)
        self.proxy.totals.refusals[refusal.code or refusal.type] += 1
        headers = b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
        body = refusal.body
        lines = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
        self.write(
            b"".join((self.head(refusal.status, request, closing=True), lines, headers, b"\r\n", body))
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.leave()

    def check(self, now: float) -> None:
        """Called now and then: end what takes longer than it may."""
        limits = self.proxy.limits
        if self.stuck is not None and now - self.stuck > limits.stuck:
            self.abort()
        elif self.phase is IDLE:
            if now - self.since > limits.keep_alive:
                self.leave()
        elif self.phase is READING:
            if now - self.since > limits.request + self._reader.received / BODY_PACE:
                self._refusal = TOO_SLOW
                self._refuse_and_leave(TOO_SLOW)
        elif self.phase is LEAVING and now - self.since > self._patience():
            self.abort()

    def _patience(self) -> float:
        return self.proxy.limits.stuck if self.transport.get_write_buffer_size() else LINGER
