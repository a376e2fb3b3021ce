"""What is said in OpenAI's words goes as bytes to a provider that speaks them, and so does the answer."""

import asyncio
from collections.abc import AsyncGenerator

import orjson

from system.gateway.errors import (
    BadRequest,
    ConnectionFailed,
    ProviderError,
    TimedOut,
    of_status,
    read_retry_after,
)
from system.gateway.hiding import hide, hide_bytes
from system.gateway.line import Late, LineBroke, Reply
from system.gateway.providers.base import Provider, Wire

AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 529})  # what the SDKs send once more, too
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds before a request is sent once more
SAID = 300  # characters of a provider's own words
END = b"data: [DONE]"
_FIXED = b"content-type: application/json\r\naccept: */*\r\nuser-agent: muster-gateway\r\n"


async def send(provider: Provider, wire: Wire, body: bytes) -> Reply:
    """The provider's answer, begun and good; raises ProviderError."""
    pause = FIRST_PAUSE
    for left in range(provider.settings.retries, -1, -1):
        try:
            return await _attempt(provider, wire, body)
        except ProviderError as error:
            if not left or not (error.upstream is None or error.upstream in AGAIN):
                raise
            await asyncio.sleep(min(error.retry_after or pause, LONGEST_PAUSE))
            pause *= 2
    raise AssertionError


async def whole(provider: Provider, reply: Reply) -> bytes:
    """All of an answer."""
    try:
        return await reply.whole(provider.settings.timeout)
    except LineBroke as error:
        raise told(provider, error) from None


async def pieces(provider: Provider, reply: Reply) -> AsyncGenerator[bytes, None]:
    """A stream as it comes; raises ProviderError where it ends before its end."""
    tail = b""
    try:
        async for part in reply.parts(provider.settings.timeout):
            tail = (tail + part)[-64:]
            yield part
    except LineBroke as error:
        raise told(provider, error) from None
    if END not in tail:
        raise ConnectionFailed(provider.name, "the stream broke off before it was complete")


def told(provider: Provider, error: LineBroke) -> ProviderError:
    """What a broken line says about the provider."""
    if isinstance(error, Late):
        return TimedOut(provider.name, f"no answer within {provider.settings.timeout:g} s")
    return ConnectionFailed(provider.name, str(error))


async def _attempt(provider: Provider, wire: Wire, body: bytes) -> Reply:
    timeout = provider.settings.timeout
    line = provider.transport.line(wire.url)
    head = b"".join(
        (wire.start, line.host_line, wire.headers, _FIXED, b"content-length: %d\r\n\r\n" % len(body))
    )
    try:
        reply = await line.send(head, body, timeout)
        if reply.status < 300:
            return reply
        said = await reply.whole(timeout)
    except LineBroke as error:
        raise told(provider, error) from None
    after = read_retry_after(reply.retry_after.decode("latin-1"))
    words, code = words_of(said)
    refused = of_status(provider.name, reply.status, words or f"status {reply.status}", after, code)
    if isinstance(refused, BadRequest):
        refused.body = hide_bytes(said)
    raise refused


def words_of(said: bytes) -> tuple[str, str]:
    """Message and code of an error's body, without keys."""
    try:
        document = orjson.loads(said)
    except orjson.JSONDecodeError:
        return "", ""
    inner = document.get("error", document) if isinstance(document, dict) else None
    if not isinstance(inner, dict):
        return hide(str(inner or ""))[:SAID], ""
    return hide(str(inner.get("message") or ""))[:SAID], str(inner.get("code") or "")
