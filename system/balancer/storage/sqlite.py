"""Chats and documents in one SQLite file, with full-text search by FTS5.

One thread does all of it, so that the loop never waits for a disk, and writers never for each other.
"""

import asyncio
import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from system.balancer.storage.base import Counts, Document, Found, Message, Query, Session
from system.balancer.storage.ranking import CANDIDATES, parts_of, score_of, words_of
from system.errors import StartupError

T = TypeVar("T")

MIGRATIONS = (
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
    );
    CREATE INDEX sessions_by_update ON sessions (updated_at);
    CREATE TABLE messages (
        place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        role TEXT NOT NULL, content TEXT NOT NULL, images TEXT NOT NULL, timestamp INTEGER NOT NULL
    );
    CREATE INDEX messages_by_session ON messages (session, place);
    CREATE TABLE documents (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, metadata TEXT NOT NULL, timestamp INTEGER NOT NULL
    );
    CREATE TABLE parts (
        place INTEGER PRIMARY KEY, document TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        number INTEGER NOT NULL, content TEXT NOT NULL
    );
    CREATE INDEX parts_by_document ON parts (document, number);
    CREATE VIRTUAL TABLE words USING fts5 (title, content, tokenize = 'unicode61 remove_diacritics 2');
    """,
)
"""Each is applied once, in order; `user_version` counts them. One that was released is never changed."""


@asynccontextmanager
async def sqlite(database: str) -> AsyncIterator["SQLite"]:
    """The storage in a file, which is made if it is not there; raises StartupError."""
    path = Path(database.removeprefix("sqlite://")).expanduser()
    thread = ThreadPoolExecutor(1, "database")
    storage = SQLite(path, thread)
    try:
        await storage.run(storage.open)
        yield storage
    except sqlite3.Error as error:
        msg = f"--database {path}: {error}"
        raise StartupError(msg) from None
    finally:
        await storage.run(storage.close)
        thread.shutdown()


class SQLite:
    """Chats and documents in a file."""

    def __init__(self, path: Path, thread: ThreadPoolExecutor) -> None:
        self._path = path
        self._thread = thread
        self._db: sqlite3.Connection | None = None

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def db(self) -> sqlite3.Connection:
        assert self._db is not None
        return self._db

    def open(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        # WAL with FULL: what was committed survives a power cut, and nobody who reads is in the way
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "busy_timeout = 5000",
        ):
            self.db.execute(f"PRAGMA {pragma}")
        done = self.db.execute("PRAGMA user_version").fetchone()[0]
        if done > len(MIGRATIONS):
            msg = f"it was written by a newer version of this program (schema {done}); use that one"
            raise sqlite3.DatabaseError(msg)
        for number, migration in enumerate(MIGRATIONS[done:], done + 1):
            self.db.executescript(f"BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {number}; COMMIT;")

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _written(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One transaction, on disk when this returns."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            result = work(self.db)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        return result

    async def create_session(self, title: str) -> str:
        made, now = str(uuid.uuid4()), int(time.time())

        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (made, title, now, now))
            return made

        return await self.run(lambda: self._written(work))

    async def sessions(self, most: int) -> Sequence[Session]:
        return await self.run(lambda: self._sessions("ORDER BY updated_at DESC, rowid DESC LIMIT ?", most))

    async def session(self, session_id: str) -> Session | None:
        return next(iter(await self.run(lambda: self._sessions("WHERE id = ?", session_id))), None)

    def _sessions(self, which: str, value: Any) -> Sequence[Session]:
        count = "(SELECT count(*) FROM messages WHERE session = sessions.id)"
        rows = self.db.execute(f"SELECT *, {count} AS count FROM sessions {which}", (value,))  # noqa: S608 - constants
        return [
            Session(
                session_id=row["id"],
                title=row["title"],
                created_at=row["created_at"],
                updated_at=row["updated_at"],
                message_count=row["count"],
            )
            for row in rows
        ]

    async def messages(self, session_id: str, last: int | None = None) -> Sequence[Message]:
        def work() -> Sequence[Message]:
            rows = self.db.execute(
                "SELECT * FROM messages WHERE session = ? ORDER BY place DESC LIMIT ?",
                (session_id, -1 if last is None else last),
            ).fetchall()
            return [_message(row) for row in reversed(rows)]

        return await self.run(work)

    async def rename_session(self, session_id: str, title: str) -> bool:
        now = int(time.time())
        statement = "UPDATE sessions SET title = ?, updated_at = ? WHERE id = ?"
        return await self._changed(statement, (title, now, session_id))

    async def delete_session(self, session_id: str) -> bool:
        return await self._changed("DELETE FROM sessions WHERE id = ?", (session_id,))

    async def _changed(self, statement: str, values: Sequence[Any]) -> bool:
        return await self.run(lambda: self._written(lambda db: db.execute(statement, values).rowcount > 0))

    async def add_message(
        self, session_id: str, role: str, content: str, images: Sequence[str] = ()
    ) -> str | None:
        made, now = str(uuid.uuid4()), int(time.time())

        def work(db: sqlite3.Connection) -> str | None:
            touched = db.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", (now, session_id))
            if not touched.rowcount:
                return None
            db.execute(
                "INSERT INTO messages (id, session, role, content, images, timestamp)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (made, session_id, role, content, json.dumps(list(images)), now),
            )
            return made

        return await self.run(lambda: self._written(work))

    async def add_document(self, title: str, content: str, metadata: Mapping[str, Any]) -> str:
        made, now = str(uuid.uuid4()), int(time.time())

        def work(db: sqlite3.Connection) -> str:
            db.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?)",
                (made, title, json.dumps(dict(metadata)), now),
            )
            for number, part in enumerate(parts_of(content)):
                place = db.execute(
                    "INSERT INTO parts (document, number, content) VALUES (?, ?, ?)", (made, number, part)
                ).lastrowid
                db.execute("INSERT INTO words (rowid, title, content) VALUES (?, ?, ?)", (place, title, part))
            return made

        return await self.run(lambda: self._written(work))

    async def documents(self, most: int) -> Sequence[Document]:
        def work() -> Sequence[Document]:
            rows = self.db.execute(
                "SELECT id AS document, title, metadata, timestamp, '' AS content, 0 AS number FROM documents"
                " ORDER BY timestamp DESC, rowid DESC LIMIT ?",
                (most,),
            )
            return [_document(row) for row in rows]

        return await self.run(work)

    async def delete_document(self, doc_id: str) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            db.execute(
                "DELETE FROM words WHERE rowid IN (SELECT place FROM parts WHERE document = ?)", (doc_id,)
            )
            return db.execute("DELETE FROM documents WHERE id = ?", (doc_id,)).rowcount > 0

        return await self.run(lambda: self._written(work))

    async def search(self, query: Query) -> Sequence[Found]:
        return await self.run(lambda: self._search(query))

    def _search(self, query: Query) -> Sequence[Found]:
        words = words_of(query.text)
        if not words:
            return []
        conditions = "".join(" AND json_extract(d.metadata, ?) = ?" for _ in query.metadata)
        values = [one for key, value in query.metadata.items() for one in (f'$."{key}"', value)]
        rows = self.db.execute(
            "SELECT p.document, p.number, p.content, d.title, d.metadata, d.timestamp FROM words"  # noqa: S608
            " JOIN parts p ON p.place = words.rowid JOIN documents d ON d.id = p.document"
            f" WHERE words MATCH ?{conditions} ORDER BY bm25(words, 2.0, 1.0) LIMIT ?",
            (" OR ".join(f'"{word}"*' for word in words), *values, CANDIDATES),
        )
        found = [
            Found(document=_document(row), score=score_of(query.text, row["title"], row["content"]))
            for row in rows
        ]
        return sorted(found, key=lambda one: -one.score)[: query.most]

    async def counts(self) -> Counts:
        def work() -> Counts:
            tables = ("sessions", "messages", "documents")
            return Counts(
                **{name: self.db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
            )

        return await self.run(work)


def _message(row: sqlite3.Row) -> Message:
    return Message(
        message_id=row["id"],
        session_id=row["session"],
        role=row["role"],
        content=row["content"],
        timestamp=row["timestamp"],
        images=tuple(json.loads(row["images"])),
    )


def _document(row: sqlite3.Row) -> Document:
    return Document(
        doc_id=row["document"],
        title=row["title"],
        content=row["content"],
        metadata=json.loads(row["metadata"]),
        timestamp=row["timestamp"],
        chunk=row["number"],
    )
