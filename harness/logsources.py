"""Where services' logs are read from: files, and what an inventory names for real servers."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx

from harness.diagnosis import explain_status, explain_unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model import LogSource

CHUNK = 1 << 20
"""Bytes read from a file at a time, so that a flooded log cannot stall the run."""
READ_WITHIN = 10.0
"""Seconds that a command or URL may take to hand over a log."""
LONGEST = 64 << 20
"""Bytes of a fetched log that are looked at."""


class LogUnreadable(Exception):  # says what is the matter, is not raised past LogWatch
    """A log cannot be read; the text says which and why."""


class Source(Protocol):
    """A service's log."""

    service: str
    name: str
    eager: bool
    """Whether reading costs next to nothing, so that the log may be followed."""

    async def read_more(self) -> bytes:
        """What has been logged since the last call; LogUnreadable says why it cannot be read."""


@dataclass(slots=True)
class FileLog:
    """A log file, followed from its first byte."""

    service: str
    path: Path
    name: str
    eager: bool = True
    offset: int = 0

    async def read_more(self) -> bytes:
        """The next bytes, at most CHUNK."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                new = file.read(CHUNK)
        except OSError as error:
            msg = f"{self.name} cannot be read: {error.strerror}"
            raise LogUnreadable(msg) from error
        self.offset += len(new)
        return new


@dataclass(slots=True)
class CommandLog:
    """The output of a command: `docker logs NAME`, `ssh HOST cat FILE`."""

    service: str
    command: tuple[str, ...]
    name: str
    eager: bool = False
    offset: int = 0

    async def read_more(self) -> bytes:
        """What the output has more than last time."""
        try:
            running = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            msg = f"`{self.name}` cannot be started: {error.strerror}"
            raise LogUnreadable(msg) from error
        try:
            output, _ = await asyncio.wait_for(running.communicate(), READ_WITHIN)
        except TimeoutError:
            running.kill()
            await running.wait()
            msg = f"`{self.name}` did not end within {READ_WITHIN:g} s"
            raise LogUnreadable(msg) from None
        if running.returncode:
            msg = f"`{self.name}` failed ({running.returncode}): {_end_of(output)}"
            raise LogUnreadable(msg)
        new, self.offset = output[self.offset : LONGEST], len(output)
        return new


@dataclass(slots=True)
class UrlLog:
    """A log that is served over HTTP."""

    service: str
    name: str
    eager: bool = False
    offset: int = 0

    async def read_more(self) -> bytes:
        """What the body has more than last time."""
        try:
            async with httpx.AsyncClient(timeout=READ_WITHIN, trust_env=False) as client:
                answer = await client.get(self.name)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LogUnreadable(explain_unreachable(self.name, error)) from error
        if not answer.is_success:
            raise LogUnreadable(explain_status(self.name, answer.status_code))
        body = answer.content[:LONGEST]
        new, self.offset = body[self.offset :], len(body)
        return new


@dataclass(slots=True)
class NoLog:
    """A service whose log nobody said how to read."""

    service: str
    name: str = ""
    eager: bool = False

    async def read_more(self) -> bytes:
        """Never there."""
        msg = f"nothing says how to read the log of {self.service}; an inventory can (log: {{file: ...}})"
        raise LogUnreadable(msg)


def _end_of(output: bytes) -> str:
    return output[-200:].decode("utf-8", "replace").strip()


def _command(service: str, *words: str) -> CommandLog:
    return CommandLog(service, words, shlex.join(words))


def _ssh(service: str, place: str) -> CommandLog:
    """`user@host:/path/of/log`, or `user@host COMMAND`."""
    where, space, command = place.partition(" ")
    if not space:
        where, _, path = place.partition(":")
        command = f"cat {shlex.quote(path)}"
    return _command(service, "ssh", "-o", "BatchMode=yes", where, command)


_MAKE: dict[str, Callable[[str, str], Source]] = {
    "docker": lambda service, name: _command(service, "docker", "logs", name),
    "ssh": _ssh,
    "url": UrlLog,
}


def source_of(service: str, log: Path | None, stated: LogSource | None, root: Path) -> Source:
    """The log of a service: the file the harness writes itself, or what is stated."""
    if log is not None:
        return FileLog(service, log, str(log))
    if stated is not None and stated.file:
        return FileLog(service, root / stated.file, stated.file)
    ways = {kind: getattr(stated, kind) for kind in _MAKE} if stated is not None else {}
    return next((_MAKE[kind](service, place) for kind, place in ways.items() if place), NoLog(service))
