"""A client's request while and after it is read: what is forwarded, and what decides how it is treated."""

from typing import TYPE_CHECKING, Protocol

from system.router.callers import Caller
from system.router.headers import without_nominated
from system.router.refusals import BAD_VERSION, MALFORMED, Refusal
from system.router.spool import Spool

if TYPE_CHECKING:
    from system.router.front import Front


class Page(Protocol):
    """Answers a request that is not proxied."""

    def __call__(self, front: "Front", request: "Request") -> None: ...


class Request:
    """One request. The readers in headers.py fill in its head; what they do not find stays as it is here."""

    method = b""
    path = b""
    host: bytes | None = None
    length: int | None = None
    nominated = b""
    id = b""
    authorization = b""
    session = b""
    chunked = False
    closing = False
    expects = False
    http10 = False
    upgrades = False
    size = 0
    body: bytes | Spool = b""
    refusal: Refusal | None = None
    spool: Spool | None = None
    page: Page | None = None
    caller: Caller | None = None
    pieces: tuple[bytes, bytes, bytes] | None = None  # the head as it is sent, but for backend and id

    def __init__(self) -> None:
        self.target = b""
        self.lines: list[bytes] = []
        self.parts: list[bytes] = []

    def head_read(self, method: bytes, version: str) -> Refusal | None:
        """Take the request line; returns why the request cannot be read any further."""
        self.method = method
        if version != "1.1":
            if version != "1.0":
                return BAD_VERSION
            self.http10 = self.closing = True
            if self.chunked:
                return MALFORMED.saying(why="HTTP/1.0 knows no Transfer-Encoding")
        elif method == b"CONNECT":
            return MALFORMED.saying(why="CONNECT is for proxies of another kind")
        elif self.host is None:
            return MALFORMED.saying(why="no Host header")
        if self.nominated:
            without_nominated(self.lines, self.nominated)
        target = self.target
        if not target.startswith(b"/"):
            target = self.target = _origin_form(target)
        self.path = target.partition(b"?")[0]
        return None

    def wire(self, host_line: bytes) -> bytes:
        """The head as it goes to a backend; the body follows as it came, framed by its length."""
        start, middle, end = self.pieces or self._cut()
        return b"".join((start, host_line, middle, self.id, end))

    def _cut(self) -> tuple[bytes, bytes, bytes]:
        start = b"%b %b HTTP/1.1\r\n" % (self.method, self.target)
        middle = b"".join((*self.lines, b"via: 1.1 muster\r\nx-request-id: "))
        self.pieces = start, middle, b"\r\ncontent-length: %d\r\n\r\n" % self.size
        return self.pieces

    @property
    def is_plain(self) -> bool:
        """Whether the same head can be taken for the same again: nothing about it depends on the moment."""
        odd = self.chunked or self.closing or self.expects or self.upgrades
        return not odd and self.refusal is None and self.spool is None

    def again(self, body: bytes) -> "Request":
        """Another request with the same head, and a body of the same length."""
        request = Request.__new__(Request)
        request.method = self.method
        request.path = self.path
        request.id = self.id
        request.session = self.session
        request.page = self.page
        request.caller = self.caller
        request.size = self.size
        request.pieces = self.pieces or self._cut()
        request.body = body
        return request

    def close(self) -> None:
        """Nobody needs the body any more."""
        if self.spool is not None:
            self.spool.close()

    def without_upgrade(self) -> bytes:
        """The head as the client would have sent it without offering another protocol."""
        own = [b"host: %b\r\n" % (self.host or b"")]
        if self.length is not None:
            own.append(b"content-length: %d\r\n" % self.length)
        if self.chunked:
            own.append(b"transfer-encoding: chunked\r\n")
        if self.id:
            own.append(b"x-request-id: %b\r\n" % self.id)
        return b"".join((self.method, b" ", self.target, b" HTTP/1.1\r\n", *own, *self.lines, b"\r\n"))


def _origin_form(target: bytes) -> bytes:
    """`http://host/path` as `/path`; anything else stays what it is and is no known path."""
    _, scheme, rest = target.partition(b"://")
    if not scheme:
        return target
    _, slash, path = rest.partition(b"/")
    return slash + path or b"/"
