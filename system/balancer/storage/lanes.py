"""Connections to a SQLite file, each with its thread, so that neither the loop nor a reader waits for a disk.

Writes that wait together are committed together: one flush of the disk answers all of them.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

TOGETHER = 64
"""Writes in one commit at most: none waits long for the others."""

_PRAGMAS = (
    "journal_mode = WAL",  # nobody who reads is in the way of who writes
    "synchronous = FULL",  # what was committed survives a power cut
    "foreign_keys = ON",
    "busy_timeout = 5000",
    "cache_size = -32000",
    "mmap_size = 1000000000",
)


class Lane:
    """One connection and its thread."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, f"database-{name}")
        self._db: sqlite3.Connection | None = None

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        for pragma in _PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives, done in the thread."""
        assert self._db is not None
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._db)

    async def close(self) -> None:
        if self._db is not None:
            await self.run(sqlite3.Connection.close)
        self._thread.shutdown()


class WritingLane(Lane):
    """The one that writes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "write")
        self._waiting: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives; what it wrote is on disk when this returns, and nothing of it if it fails."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            works = [work for work, _ in batch]
            try:
                results = await self.run(lambda db, works=works: committed(db, works))  # type: ignore[misc]
            except sqlite3.Error as error:  # the disk is full, or the file gone: all of them failed
                results = [error] * len(batch)
            for (_, done), result in zip(batch, results, strict=True):
                if done.done():
                    continue  # nobody waits for it any more
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing
        await super().close()


def committed(db: sqlite3.Connection, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    """What each gives or raises, all in one commit; raises sqlite3.Error if that fails."""
    results: list[Any] = []
    db.execute("BEGIN IMMEDIATE")
    try:
        for work in works:
            db.execute("SAVEPOINT one")
            try:
                results.append(work(db))
            except Exception as error:  # noqa: BLE001 - it is its caller's
                results.append(error)
                db.execute("ROLLBACK TO one")
            db.execute("RELEASE one")
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return results
