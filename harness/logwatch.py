"""Reads services' logs as they grow and records which request ids stand in them."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.events import LogRead, RequestLogged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from harness.history import History

EVERY = 0.25
"""Seconds between two looks at the logs."""
CHUNK = 1 << 20
"""Bytes read at a time, so that a flooded log cannot stall the run."""


class Source(Protocol):
    """Where a service's log comes from."""

    service: str
    name: str

    def read_more(self) -> bytes:
        """What has been logged since the last call; OSError says why it cannot be read."""


@dataclass(slots=True)
class FileSource:
    """A log file of the run directory, or one named by an inventory."""

    service: str
    path: Path
    name: str = ""
    offset: int = 0

    def __post_init__(self) -> None:
        self.name = self.name or str(self.path)

    def read_more(self) -> bytes:
        """The next bytes, at most CHUNK."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            new = file.read(CHUNK)
        self.offset += len(new)
        return new


class LogWatch:
    """Follows the logs of all services; each request id is recorded once per service."""

    def __init__(self, history: History, sources: Sequence[Source], id_prefix: str) -> None:
        self._history = history
        self._sources = sources
        self._ids = re.compile(re.escape(id_prefix).encode() + rb"-[A-Za-z0-9.]+-\d{6,}")
        self._rest: dict[str, bytes] = {}
        self._lines: dict[str, int] = {}
        self._known: set[tuple[str, str]] = set()
        self._errors: dict[str, str] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[LogWatch]:
        """Look at the logs every now and then until the context ends."""
        task = asyncio.create_task(self._follow(), name="follow logs")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """Read what is new in every log and record the request ids in it."""
        for source in self._sources:
            try:
                self._take(source)
            except OSError as error:
                self._errors[source.service] = f"{source.name} cannot be read: {error.strerror or error}"

    def conclude(self) -> None:
        """Read to the present end and record, for every log, how far it was read or why it was not."""
        self.look()
        for source in self._sources:
            self._history.append(
                LogRead(
                    service=source.service,
                    log=source.name,
                    lines=self._lines.get(source.service, 0),
                    error=self._errors.get(source.service, ""),
                )
            )

    def _take(self, source: Source) -> None:
        while new := source.read_more():
            for line, request in self._ids_in(source.service, new):
                if (source.service, request) not in self._known:
                    self._known.add((source.service, request))
                    self._history.append(
                        RequestLogged(service=source.service, request=request, log=source.name, line=line)
                    )

    def _ids_in(self, service: str, new: bytes) -> Iterator[tuple[int, str]]:
        *lines, rest = (self._rest.get(service, b"") + new).split(b"\n")
        self._rest[service] = rest[-CHUNK:]
        number = self._lines.get(service, 0)
        for line in lines:
            number += 1
            for match in self._ids.findall(line):
                yield number, match.decode()
        self._lines[service] = number
