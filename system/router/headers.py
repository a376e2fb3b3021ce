"""Which headers go on, and which belong to one connection only (RFC 9110, 7.6.1): tables of readers.

A reader takes what is being read and the value; it returns whether the header goes on to the other side, and
raises ValueError when the message cannot be framed safely.
"""

from collections.abc import Callable
from typing import Any

EVENT_STREAM = b"text/event-stream"

Reader = Callable[[Any, bytes], bool]


def _drop(_: Any, __: bytes) -> bool:
    return False


def _connection(message: Any, value: bytes) -> bool:
    tokens = value.lower()
    if b"close" in tokens:
        message.closing = True
    if tokens not in (b"close", b"keep-alive"):
        message.nominated += b"," + tokens
    return False


def without_nominated(lines: list[bytes], nominated: bytes) -> None:
    """Take out the headers that a Connection header named as its own."""
    names = {token.strip() for token in nominated.split(b",")}
    lines[:] = [line for line in lines if line.split(b":", 1)[0].lower() not in names]


def _transfer_encoding(message: Any, value: bytes) -> bool:
    if value.strip().lower() != b"chunked":
        msg = "the only Transfer-Encoding understood is chunked"
        raise ValueError(msg)
    message.chunked = True
    return False


def _response_length(head: Any, value: bytes) -> bool:
    head.length = int(value)
    return True


def _response_type(head: Any, value: bytes) -> bool:
    head.streamed = value[:17].lower() == EVENT_STREAM
    return True


def _retry_after(head: Any, value: bytes) -> bool:
    head.retry_after = value
    return True


_HOP: dict[bytes, Reader] = {
    b"connection": _connection,
    b"keep-alive": _drop,
    b"proxy-authenticate": _drop,
    b"proxy-authorization": _drop,
    b"proxy-connection": _drop,
    b"te": _drop,
    b"trailer": _drop,
    b"trailers": _drop,
    b"upgrade": _drop,
    b"http2-settings": _drop,
    b"transfer-encoding": _transfer_encoding,
}

RESPONSE_HEADERS: dict[bytes, Reader] = {
    **_HOP,
    b"content-length": _response_length,
    b"content-type": _response_type,
    b"retry-after": _retry_after,
    b"x-request-id": _drop,  # the router names it, once
    b"x-muster-backend": _drop,
}


def _host(request: Any, value: bytes) -> bool:
    if request.host is not None:
        msg = "more than one Host"
        raise ValueError(msg)
    request.host = value
    return False


def _request_length(request: Any, value: bytes) -> bool:
    request.length = int(value)
    return False


def _expect(request: Any, value: bytes) -> bool:
    request.expects = value.lower() == b"100-continue"
    return False


def _request_id(request: Any, value: bytes) -> bool:
    if 0 < len(value) <= 200 and value.isascii():
        request.id = value
    return False


def _upgrade(request: Any, _: bytes) -> bool:
    request.upgrades = True
    return False


def read_session(request: Any, value: bytes) -> bool:
    """The reader of whichever header names a session."""
    request.session = value[:512]
    return True


def _authorization(request: Any, value: bytes) -> bool:
    request.authorization = value
    return True


def keep_authorization(request: Any, value: bytes) -> bool:
    """The reader of Authorization where it is for the router itself: backends do not get to see it."""
    request.authorization = value
    return False


REQUEST_HEADERS: dict[bytes, Reader] = {
    **_HOP,
    b"host": _host,
    b"content-length": _request_length,
    b"expect": _expect,
    b"upgrade": _upgrade,
    b"x-request-id": _request_id,
    b"authorization": _authorization,
}
