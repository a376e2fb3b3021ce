"""Backends from a registry, by asking it several times a second. While it is away its last word stands."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import orjson

from system.errors import UsageError
from system.router.doubt import LastWord
from system.router.entries import Entry, EntryError, read_registry
from system.router.fetch import FetchError, get
from system.router.upstream import Pool

log = logging.getLogger("router.discovery")

REPEATED_COMPLAINTS = 1000


class Registry:
    """One registry as a source of backends."""

    def __init__(
        self,
        url: str,
        *,
        interval: float,
        timeout: float,
        grace: float,
        found: Callable[[str, list[Entry]], None],
        token: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.error: str | None = "not asked yet"
        self.answered_at: float | None = None
        self._last_word = LastWord(grace)
        self._interval = interval
        self._timeout = timeout
        self._found = found
        self._headers = f"authorization: Bearer {token}\r\n".encode() if token else b""
        self._complained: set[str] = set()
        self._host, self._prefix, self._pool = _reach(self.url, tls, timeout)

    async def follow(self) -> None:
        """Ask for ever."""
        while True:
            began = time.monotonic()
            await self.ask()
            await asyncio.sleep(max(0.0, self._interval - (time.monotonic() - began)))

    async def ask(self) -> None:
        """Ask once, and pass on what the registry says."""
        try:
            entries = await self._services()
        except (FetchError, EntryError) as error:
            self._is_away(str(error))
            return
        was_away = self.error is not None
        if self.error is not None:
            log.info("registry %s: %d services that speak the OpenAI API", self.url, len(entries))
        self.error = None
        self.answered_at = time.time()
        self._found(self.url, self._last_word.take(entries, time.monotonic(), was_away=was_away))

    async def _services(self) -> list[Entry]:
        path = f"{self._prefix}/services?healthy=true"
        status, body = await get(
            self._pool, path, host=self._host, headers=self._headers, timeout=self._timeout
        )
        if status != 200:
            msg = f"{path} answered {status}"
            raise FetchError(msg)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            msg = f"{path} did not answer JSON: {error}"
            raise FetchError(msg) from None
        entries, complaints = read_registry(document)
        self._complain(complaints)
        return entries

    def _is_away(self, why: str) -> None:
        if self.error is None or (self.answered_at is None and self.error != why):
            log.warning("registry %s: %s; going on with what it said last", self.url, why)
        self.error = why

    def _complain(self, complaints: list[str]) -> None:
        """Say once what is wrong with a service that cannot be used."""
        for complaint in complaints:
            if complaint not in self._complained:
                log.warning("registry %s: %s; it is not used", self.url, complaint)
        self._complained = set(complaints[:REPEATED_COMPLAINTS])

    def close(self) -> None:
        self._pool.close()


def _reach(url: str, tls: ssl.SSLContext | None, timeout: float) -> tuple[str, str, Pool]:
    """How a registry is reached: its Host, the path before its endpoints, its connections."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError([f"--registry: {url!r} must be a URL such as http://server1:18000"])
    pool = Pool(
        parts.hostname,
        port or (443 if parts.scheme == "https" else 80),
        tls=(tls or ssl.create_default_context()) if parts.scheme == "https" else None,
        clock=time.monotonic,
        connect_timeout=timeout,
        idle_timeout=4.0,
    )
    return parts.netloc.rpartition("@")[2], parts.path, pool
