"""What a link to other processes is, and whom it speaks for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from system.gateway.transitions import Author, Circuit
from system.gateway.wire import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Where Redis is."""

    url: str = field(repr=False)
    """`redis://`, `rediss://`, `redis+cluster://` or `rediss+cluster://`."""
    password: str | None = field(default=None, repr=False)
    """Instead of the one in the URL."""

    @property
    def place(self) -> str:
        """Host and port, fit to be logged."""
        parts = urlsplit(self.url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """With whom to share what is known; by default with nobody."""

    redis: RedisSettings | None = None
    group: str | None = None
    """Processes of one machine and user that name the same group share without Redis, too."""
    folder: Path | None = None
    """Where they meet; by default below XDG_RUNTIME_DIR or the folder for temporary files."""
    start_within: float = 2.0
    """Seconds that the start waits for Redis."""


class Ears(Protocol):
    """The breakers of this process: what links carry to and from them."""

    @property
    def author(self) -> Author: ...

    def now(self) -> float: ...

    def circuits(self) -> Mapping[str, Circuit]:
        """By provider; `due` is on the clock of `now`."""
        ...

    def hear(self, provider: str, circuit: Circuit) -> None:
        """A store or another process has this circuit. Heard twice, or late, it changes nothing."""
        ...

    def hear_told(self, told: Told) -> None: ...


class Link(Protocol):
    """A way to other processes, with a store that all of them can reach."""

    @property
    def reachable(self) -> bool:
        """Whether the store is to be asked."""
        ...

    @property
    def connected(self) -> bool:
        """Whether others are being told and heard."""
        ...

    def changed(self, provider: str) -> None:
        """The circuit is another one: let others know. At once; what cannot be said now is said later."""
        ...

    def tell(self, told: Told) -> None:
        """At once; what cannot be said now is forgotten."""
        ...

    async def put(self, provider: str, circuit: Circuit, *, claim: bool, within: float) -> Circuit | None:
        """Bring a circuit to the store; returns what the store holds now, None if it did not answer.

        A claim is granted to whoever is first, anything else is kept if it supersedes.
        """
        ...


async def ended(task: "asyncio.Task[Any]") -> None:
    """End a task of ours; a mistake in it comes to light here at the latest.

    Told more than once, since a library between may catch it and forget.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
    if not task.cancelled():
        task.result()
