"""What the official SDKs send through: an httpx2 transport on our own lines, far lighter than its own.

Where the environment names an HTTP proxy for an address, httpx2's own transport is used, which knows proxies.
"""

import ssl
import urllib.request
from collections.abc import AsyncIterator
from functools import cache
from urllib.parse import urlsplit

import httpx2

from system.gateway.line import Late, Line, LineBroke, Reply
from system.gateway.pacing import Pacer

CONNECT = 5.0  # seconds
SKIPPED = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding"})
FOREVER = 3600.0


@cache
def trust() -> ssl.SSLContext:
    """How providers' certificates are verified."""
    context = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def is_proxied(url: str) -> bool:
    """Whether the environment wants a proxy between us and this address."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    wanted = proxies.get(parts.scheme) or proxies.get("all")
    return bool(wanted) and not urllib.request.proxy_bypass(parts.hostname or "")


class LineTransport(httpx2.AsyncBaseTransport):
    """Requests of an SDK's client, each over the line to its address."""

    def __init__(self, pacer: Pacer, connect_timeout: float = CONNECT) -> None:
        self._pacer = pacer
        self._connect_timeout = connect_timeout
        self._lines: dict[str, Line] = {}

    def line(self, url: str) -> Line:
        """The line to a URL's address."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        found = self._lines.get(origin)
        if found is None:
            found = Line(origin, connect_timeout=self._connect_timeout, tls=trust)
            self._lines[origin] = found
        return found

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        line = self.line(str(request.url))
        body = await request.aread()
        within = request.extensions.get("timeout", {}).get("read") or FOREVER
        try:
            reply = await line.send(_head(request, line, len(body)), body, within)
        except LineBroke as error:
            raise _told(error, request) from None
        await self._pacer.turn()
        headers = [(name, value) for name, _, value in (raw[:-2].partition(b": ") for raw in reply.lines)]
        return httpx2.Response(
            reply.status, headers=headers, stream=_Body(reply, within, request), request=request
        )

    async def aclose(self) -> None:
        for line in self._lines.values():
            line.close()


def _head(request: httpx2.Request, line: Line, length: int) -> bytes:
    lines = [
        b"%b: %b\r\n" % (name, value) for name, value in request.headers.raw if name.lower() not in SKIPPED
    ]
    start = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
    return b"".join((start, line.host_line, *lines, b"content-length: %d\r\n\r\n" % length))


class _Body(httpx2.AsyncByteStream):
    def __init__(self, reply: Reply, within: float, request: httpx2.Request) -> None:
        self._reply = reply
        self._within = within
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._reply.parts(self._within):
                yield part
        except LineBroke as error:
            raise _told(error, self._request) from None

    async def aclose(self) -> None:
        self._reply.abandon()


def _told(error: LineBroke, request: httpx2.Request) -> httpx2.TransportError:
    """The same in httpx2's words, which the SDKs know."""
    kinds = {
        (True, False): httpx2.ConnectTimeout,
        (True, True): httpx2.ReadTimeout,
        (False, False): httpx2.ConnectError,
        (False, True): httpx2.RemoteProtocolError,
    }
    return kinds[isinstance(error, Late), error.sent](str(error), request=request)
