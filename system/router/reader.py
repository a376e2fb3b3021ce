"""Reads a client's requests from bytes: strict framing, bounded heads and bodies, no I/O.

Whatever two programs could read differently (a second length, a folded header, a bare line feed) is refused,
because a request that hides in another is how one client gets at another's answer.
"""

from collections import deque
from collections.abc import Callable, Mapping

import httptools

from system.router.familiar import Familiar
from system.router.headers import REQUEST_HEADERS
from system.router.headers import Reader as HeaderReader
from system.router.refusals import BODY_TOO_LARGE, HEAD_TOO_LARGE, MALFORMED, NO_ROOM, NOT_JSON, Refusal
from system.router.request import Request
from system.router.rules import Limits
from system.router.scan import NotAnObject
from system.router.spool import Spool

LARGE_BODY = 1024 * 1024  # bytes from which on a body is kept on disk


class Refused(Exception):
    """The bytes cannot be read any further; answer this and close."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Reader:
    """The requests of one connection, complete ones in `ready`."""

    __slots__ = (
        "_admits",
        "_barren",
        "_familiar",
        "_in_head",
        "_limits",
        "_moved",
        "_parser",
        "_readers",
        "_request",
        "asks",
        "reading",
        "ready",
    )

    def __init__(
        self,
        limits: Limits,
        admits: Callable[[Request], Refusal | None],
        readers: Mapping[bytes, HeaderReader] = REQUEST_HEADERS,
        familiar: Familiar[Request] | None = None,
    ) -> None:
        self.ready: deque[Request] = deque()
        self.reading = False  # a request has begun and is not complete
        self.asks = False  # and its client waits for `100 Continue`
        self._limits = limits
        self._admits = admits
        self._readers = readers
        self._familiar = Familiar() if familiar is None else familiar
        self._request = Request()
        self._in_head = False
        self._barren = 0  # bytes since the last that belonged to a body
        self._moved = False
        self._parser = httptools.HttpRequestParser(self)

    @property
    def received(self) -> int:
        """Bytes of the body that is being read."""
        return self._request.size

    def feed(self, data: bytes) -> None:
        """Read on; raises Refused."""
        if self.reading or self._request.closing:
            self._parse(data)
            return
        end = data.find(b"\r\n\r\n") + 4
        known = self._familiar.get(data[:end])
        if known is not None and len(data) == end + known.size:
            self.ready.append(known.again(data[end:]))
            return
        before = len(self.ready)
        self._parse(data)
        if not self.reading and len(self.ready) == before + 1:
            request = self.ready[-1]
            if request.is_plain and len(data) == end + request.size:
                self._familiar.keep(data[:end], request.again(b""))

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, Refused):
                raise cause from None
            raise Refused(MALFORMED.saying(why=str(cause or error).rstrip("."))) from None
        if self.reading:
            self._count(len(data))

    def _count(self, size: int) -> None:
        """Bound what comes without adding to a body: a head, or a trailer, that never ends."""
        if self._moved:
            self._moved, self._barren = False, 0
            return
        self._barren += size
        if self._barren > self._limits.head:
            raise Refused(HEAD_TOO_LARGE.saying(limit=self._limits.head))

    def _without_upgrade(self, rest: bytes) -> None:
        """A client may offer another protocol; going on with this one is an answer it must accept."""
        self._parser = httptools.HttpRequestParser(self)
        self.feed(self._request.without_upgrade() + rest)

    # httptools' side

    def on_message_begin(self) -> None:
        self._request = Request()
        self._in_head = self.reading = True
        self._barren = 0

    def on_url(self, url: bytes) -> None:
        self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        if not self._in_head:
            return  # a trailer: nothing here reads them
        read = self._readers.get(name.lower())
        try:
            if read is None or read(request, value):
                request.lines.append(b"%b: %b\r\n" % (name, value))
        except ValueError as error:
            raise Refused(MALFORMED.saying(why=error)) from None

    def on_headers_complete(self) -> None:
        self._in_head = False
        request = self._request
        refusal = request.head_read(self._parser.get_method(), self._parser.get_http_version())
        if refusal:
            raise Refused(refusal)
        request.refusal = self._admits(request)
        if request.length is not None and request.length > self._limits.body:
            raise Refused(BODY_TOO_LARGE.saying(limit=self._limits.body))
        if request.expects and not request.http10:
            if request.refusal:
                raise Refused(request.refusal)
            self.asks = True

    def on_body(self, data: bytes) -> None:
        self.asks = False
        self._moved = True
        request = self._request
        request.size += len(data)
        if request.size > self._limits.body:
            raise Refused(BODY_TOO_LARGE.saying(limit=self._limits.body))
        if request.spool is not None:
            self._spool(request.spool, data)
        elif request.refusal is None:
            request.parts.append(data)
            if request.size > LARGE_BODY:
                self._begin_spool(request)

    def _begin_spool(self, request: Request) -> None:
        parts, request.parts = request.parts, []
        request.spool = Spool()
        for part in parts:
            self._spool(request.spool, part)

    def _spool(self, spool: Spool, data: bytes) -> None:
        try:
            spool.add(data)
        except NotAnObject as error:
            raise Refused(NOT_JSON.saying(why=error)) from None
        except OSError as error:
            raise Refused(NO_ROOM.saying(why=error.strerror)) from None

    def close(self) -> None:
        """The connection is gone: nothing that was read is answered."""
        self._request.close()
        for request in self.ready:
            request.close()
        self.ready.clear()

    def on_message_complete(self) -> None:
        request = self._request
        if request.upgrades and self._parser.should_upgrade():
            return  # it is read again, without the upgrade
        parts = request.parts
        request.body = request.spool or (parts[0] if len(parts) == 1 else b"".join(parts))
        request.parts = parts[:0]
        self.reading = self.asks = False
        self.ready.append(request)
