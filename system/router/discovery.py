"""Backends from a registry: by its watch where it has one, else by asking it several times a second.

While the registry is away its last word stands.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from system.errors import UsageError
from system.router.counts import Histogram
from system.router.doubt import LastWord
from system.router.entries import Entry, EntryError, read_entry, read_registry, serves_openai
from system.router.events import Event, EventReader
from system.router.fetch import FetchError, get, stream
from system.router.upstream import Pool

log = logging.getLogger("router.discovery")

REPEATED_COMPLAINTS = 1000
WATCH_SILENCE = 12.0  # seconds without even a bookmark after which a watch is taken for dead
TRY_WATCH_EVERY = 60.0  # seconds after which a registry without a watch is asked for one again


class Followers(Protocol):
    """Who is told what a registry says."""

    def listed(self, source: str, entries: list[Entry]) -> None: ...
    def changed(self, source: str, put: Sequence[Entry], drop: Sequence[str]) -> None: ...


class Registry:
    """One registry as a source of backends."""

    def __init__(
        self,
        url: str,
        followers: Followers,
        *,
        interval: float,
        timeout: float,
        grace: float,
        token: str = "",
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self.url = url.rstrip("/")
        self.error: str | None = "not asked yet"
        self.heard_at: float | None = None  # on the wall clock
        self.watched = False
        self.lags = Histogram()  # from a service's registration, by the registry's clock, until it was used
        self._followers = followers
        self._last_word = LastWord(grace)
        self._position = ""
        self._interval = interval
        self._timeout = timeout
        self._headers = f"authorization: Bearer {token}\r\n".encode() if token else b""
        self._complained: set[str] = set()
        self._host, self._prefix, self._pool = _reach(self.url, tls, timeout)

    async def follow(self) -> None:
        """Watch, or ask, for ever."""
        while True:
            if await self._watch():
                await asyncio.sleep(self._interval)  # it ended by itself
            else:
                await self._poll(TRY_WATCH_EVERY)

    async def ask(self) -> None:
        """Ask once for the whole list, and pass it on."""
        path = f"{self._prefix}/services?healthy=true"
        try:
            status, body = await get(
                self._pool, path, host=self._host, headers=self._headers, timeout=self._timeout
            )
            if status != 200:
                msg = f"{path} answered {status}"
                raise FetchError(msg)
            self._listed(_json(body))
        except (FetchError, EntryError) as error:
            self._is_away(str(error))

    async def _poll(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            was_away = self.error is not None
            await self.ask()
            if was_away and self.error is None:
                return  # it is back, and perhaps another one
            await asyncio.sleep(max(0.0, self._interval - (time.monotonic() - began)))

    async def _watch(self) -> bool:
        """Follow the registry's watch until it ends; returns False where asking is better."""
        reader = EventReader()
        headers = self._headers
        if self._position:
            headers += f"last-event-id: {self._position}\r\n".encode()
        try:
            status = await stream(
                self._pool,
                f"{self._prefix}/watch",
                host=self._host,
                headers=headers,
                timeout=self._timeout,
                silence=WATCH_SILENCE,
                take=lambda data: self._events(reader.feed(data)),
            )
        except (FetchError, EntryError, ValueError) as error:
            self.watched = False
            self._is_away(str(error))
            return False
        self.watched = False
        return status == 200

    def _events(self, events: Iterable[Event]) -> None:
        self.watched = True
        put: dict[str, Entry] = {}
        drop: dict[str, None] = {}
        for event in events:
            if event.name == "snapshot":
                put, drop = {}, {}
                self._listed(_json(event.data))
            elif event.name == "put":
                self._put(_json(event.data), put, drop)
            elif event.name == "delete":
                self._drop(str(_json(event.data).get("name")), put, drop)
            self._position = event.id or self._position
        for name in self._last_word.given_up(time.monotonic()):
            self._drop(name, put, drop)
        self._is_there()
        if put or drop:
            self._followers.changed(self.url, list(put.values()), list(drop))

    def _put(self, document: dict[str, Any], put: dict[str, Entry], drop: dict[str, None]) -> None:
        service = document.get("service")
        if not serves_openai(service):
            self._drop(str(document.get("name")), put, drop)
            return
        try:
            entry = read_entry(service)
        except EntryError as error:
            self._complain([str(error)])
            return
        if self._last_word.is_news(entry):
            self._note_lag(entry)
        self._last_word.put(entry)
        put[entry.name] = entry
        drop.pop(entry.name, None)

    def _drop(self, name: str, put: dict[str, Entry], drop: dict[str, None]) -> None:
        self._last_word.drop(name)
        put.pop(name, None)
        drop[name] = None

    def _listed(self, document: Any) -> None:
        entries, complaints = read_registry(document)
        self._complain(complaints)
        was_away = self.error is not None
        self._is_there()
        if not was_away:
            for entry in filter(self._last_word.is_news, entries):
                self._note_lag(entry)
        used = self._last_word.take(entries, time.monotonic(), was_away=was_away)
        self._followers.listed(self.url, used)
        if was_away:
            log.info("registry %s: %d services that speak the OpenAI API", self.url, len(entries))

    def _note_lag(self, entry: Entry) -> None:
        """A service has registered while the registry was followed: how long ago was that."""
        try:
            registered = datetime.fromisoformat(entry.registered)
        except ValueError:
            return
        if registered.tzinfo is not None:
            self.lags.observe(max(0.0, time.time() - registered.timestamp()))

    def _is_there(self) -> None:
        self.error, self.heard_at = None, time.time()

    def _is_away(self, why: str) -> None:
        if self.error is None or (self.heard_at is None and self.error != why):
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


def _json(data: bytes) -> Any:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        msg = f"its answer is not JSON: {error}"
        raise EntryError(msg) from None
    if not isinstance(document, dict):
        msg = "its answer is no JSON object"
        raise EntryError(msg)
    return document


def _reach(url: str, tls: Callable[[], ssl.SSLContext], timeout: float) -> tuple[str, str, Pool]:
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
        tls=tls() if parts.scheme == "https" else None,
        clock=time.monotonic,
        connect_timeout=timeout,
        idle_timeout=4.0,
    )
    return parts.netloc.rpartition("@")[2], parts.path, pool
