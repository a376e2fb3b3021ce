"""The few words that raw ASGI programs share: reading a body, answering with JSON or text."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


class BodyTooLarge(Exception):
    """The request's body exceeds what the program reads: answer 413."""


class ClientLeft(Exception):
    """The client went away while its body was read: nothing to answer."""


async def read_body(receive: Receive, limit: int = 64 * 1024 * 1024) -> bytes:
    """The whole body of a request."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a header; the name in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def send_bytes(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Headers = ()
) -> None:
    """A whole answer."""
    lines = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, document: Any, headers: Headers = ()) -> None:
    """A compact JSON answer."""
    await send_bytes(send, status, orjson.dumps(document), b"application/json", headers)


async def send_text(send: Send, status: int, text: str, headers: Headers = ()) -> None:
    """A plain text answer."""
    await send_bytes(send, status, text.encode(), b"text/plain; charset=utf-8", headers)
