"""Reads services' logs as they grow and records which request ids stand in them."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING

from harness.events import LogRead, RequestLogged
from harness.logsources import CHUNK, LogUnreadable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from harness.history import History
    from harness.logsources import Source

EVERY = 0.25
"""Seconds between two looks at logs that cost nothing to read."""
REFETCH_AFTER = 1.0
"""Seconds between two fetches of a log that costs something."""


class LogWatch:
    """Follows the logs of all services; each request id is recorded once per service."""

    def __init__(self, history: History, sources: Sequence[Source], id_prefix: str) -> None:
        self._history = history
        self._sources = list(sources)
        self._ids = re.compile(re.escape(id_prefix).encode() + rb"-[A-Za-z0-9.]+-\d{6,}")
        self._rest: dict[str, bytes] = {}
        self._lines: dict[str, int] = {}
        self._known: set[tuple[str, str]] = set()
        self._errors: dict[str, str] = {}
        self._readable: set[str] = set()
        self._fetched: dict[str, float] = {}
        self._looking = asyncio.Lock()

    def add(self, source: Source) -> None:
        """Follow one more log."""
        self._sources.append(source)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[LogWatch]:
        """Look at the eager logs every now and then until the context ends."""
        task = asyncio.create_task(self._follow(), name="follow logs", context=Context())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await self._read([source for source in self._sources if source.eager])
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Read what is new in every log and record the request ids in it."""
        now = self._history.now()
        due = [
            s for s in self._sources if s.eager or now - self._fetched.get(s.service, -1e9) >= REFETCH_AFTER
        ]
        self._fetched |= {source.service: now for source in due}
        await self._read(due)

    async def conclude(self) -> None:
        """Read to the present end and record, for every log, how far it was read or why it was not."""
        await self._read(self._sources)
        for source in self._sources:
            self._tell(source, self._errors.get(source.service, ""))

    def _tell(self, source: Source, error: str) -> None:
        lines = self._lines.get(source.service, 0)
        self._history.append(LogRead(service=source.service, log=source.name, lines=lines, error=error))

    async def _read(self, sources: Sequence[Source]) -> None:
        async with self._looking:
            for source in sources:
                try:
                    await self._take(source)
                    self._tell_once(source)
                except LogUnreadable as error:
                    if self._errors.get(source.service) != str(error):
                        self._errors[source.service] = str(error)
                        self._tell(source, str(error))

    def _tell_once(self, source: Source) -> None:
        """That a log can be read is known from its first read on: silence in it is then a finding."""
        if source.service not in self._readable:
            self._readable.add(source.service)
            self._tell(source, "")

    async def _take(self, source: Source) -> None:
        while new := await source.read_more():
            self._errors.pop(source.service, None)
            for line, request in self._ids_in(source.service, new):
                if (source.service, request) not in self._known:
                    self._known.add((source.service, request))
                    self._history.append(
                        RequestLogged(service=source.service, request=request, log=source.name, line=line)
                    )
            await asyncio.sleep(0)

    def _ids_in(self, service: str, new: bytes) -> Iterator[tuple[int, str]]:
        *lines, rest = (self._rest.get(service, b"") + new).split(b"\n")
        self._rest[service] = rest[-CHUNK:]
        number = self._lines.get(service, 0)
        for line in lines:
            number += 1
            for match in self._ids.findall(line):
                yield number, match.decode()
        self._lines[service] = number
