"""A POST whose answer is a stream of server-sent events, read one by one."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson

from system.http_client import Unreachable

LARGEST_EVENT = 1024 * 1024


class EventStream:
    """An open stream; `next` waits for an event."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = httptools.HttpResponseParser(self)
        self._buffer = b""
        self._complete = False
        self.headers: dict[str, str] = {}
        self._started = False

    # httptools' callbacks
    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._started = True

    def on_body(self, data: bytes) -> None:
        self._buffer += data

    def on_message_complete(self) -> None:
        self._complete = True

    async def begin(self, request: bytes) -> None:
        """Send the request and wait for a good answer's headers; raises Unreachable."""
        self._writer.write(request)
        while not self._started:
            await self._feed()
        status = self._parser.get_status_code()
        if status != 200:
            while not self._complete:
                await self._feed()
            msg = f"answered {status} {self._buffer[:300].decode(errors='replace')}"
            raise Unreachable(msg)

    async def next(self, within: float) -> dict[str, Any]:
        """The next event's document; raises Unreachable when the stream is over, or silent for so long."""
        try:
            async with asyncio.timeout(within):
                while b"\n\n" not in self._buffer:
                    if self._complete:
                        msg = "the connection ended"
                        raise Unreachable(msg)
                    await self._feed()
        except TimeoutError:
            msg = f"silent for {within:g} s"
            raise Unreachable(msg) from None
        event, _, self._buffer = self._buffer.partition(b"\n\n")
        document = orjson.loads(event.removeprefix(b"data:").strip() or b"{}")
        return document if isinstance(document, dict) else {}

    async def _feed(self) -> None:
        data = await self._reader.read(65536)
        if not data:
            msg = "the connection was closed"
            raise Unreachable(msg)
        self._parser.feed_data(data)
        if len(self._buffer) > LARGEST_EVENT:
            msg = "sent an event that is too large"
            raise Unreachable(msg)


@asynccontextmanager
async def event_stream(
    url: str, document: Any, token: str | None, within: float
) -> AsyncIterator[EventStream]:
    """Open a stream; raises Unreachable when there is none in time, in words. Leaving closes it."""
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    writer: asyncio.StreamWriter | None = None
    try:
        try:
            async with asyncio.timeout(within):
                port = parts.port or (443 if tls else 80)
                reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
                stream = EventStream(reader, writer)
                await stream.begin(_request(parts.netloc, parts.path, document, token))
        except TimeoutError:
            msg = f"no answer within {within:g} s"
            raise Unreachable(msg) from None
        except ConnectionRefusedError:
            msg = "connection refused"
            raise Unreachable(msg, refused=True) from None
        yield stream
    except (OSError, ValueError, httptools.HttpParserError) as error:
        raise Unreachable(str(error) or type(error).__name__) from None
    finally:
        if writer is not None:
            writer.close()


def _request(netloc: str, path: str, document: Any, token: str | None) -> bytes:
    body = orjson.dumps(document)
    authorization = f"authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {netloc}\r\naccept: text/event-stream\r\n{authorization}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
