"""Chats and documents in one SQLite file, with full-text search by FTS5.

Who writes, who reads and who searches have a connection each: none of them waits for another.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from system.balancer.storage.base import Counts, Document, Found, Message, Query, Session
from system.balancer.storage.lanes import Lane, WritingLane
from system.balancer.storage.ranking import CANDIDATES, clean, parts_of, plain, score_of, words_of
from system.errors import StartupError

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


_MATCHING = "SELECT rowid, bm25(words, 2.0, 1.0) AS fit FROM words WHERE words MATCH :words"
_FOUND = """
    SELECT p.place, p.document, p.number, p.content, d.title, d.metadata, d.timestamp
    FROM ({best}) best JOIN parts p ON p.place = best.rowid JOIN documents d ON d.id = p.document
    {narrowed} ORDER BY best.fit LIMIT :most
"""
_SEARCHED = _FOUND.format(best=_MATCHING + " ORDER BY fit LIMIT :most", narrowed="")
_NARROWED_TO = """
    WHERE NOT EXISTS (
        SELECT 1 FROM json_each(:metadata) w WHERE NOT EXISTS (
            SELECT 1 FROM json_each(d.metadata) m WHERE m.key = w.key AND m.atom = w.atom
            AND replace(m.type, 'real', 'integer') = replace(w.type, 'real', 'integer')
        )
    )
"""
"""Numbers are equal to numbers only, and truth to truth, as PostgreSQL's `@>` has it."""
_NARROWED = _FOUND.format(best=_MATCHING, narrowed=_NARROWED_TO)


@asynccontextmanager
async def sqlite(database: str) -> AsyncIterator["SQLite"]:
    """The storage in a file, which is made if it is not there; raises StartupError."""
    path = Path(database.removeprefix("sqlite://")).expanduser()
    storage = SQLite(path)
    try:
        try:
            await storage.open()
        except sqlite3.Error as error:
            msg = f"--database {path}: {error}"
            raise StartupError(msg) from None
        yield storage
    finally:
        await storage.close()


def _migrate(db: sqlite3.Connection) -> None:
    done = db.execute("PRAGMA user_version").fetchone()[0]
    if done > len(MIGRATIONS):
        msg = f"it was written by a newer version of this program (schema {done}); use that one"
        raise sqlite3.DatabaseError(msg)
    for number, migration in enumerate(MIGRATIONS[done:], done + 1):
        db.executescript(f"BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {number}; COMMIT;")


class SQLite:
    """Chats and documents in a file."""

    def __init__(self, path: Path) -> None:
        self._writing, self._reading, self._searching = (
            WritingLane(path),
            Lane(path, "read"),
            Lane(path, "search"),
        )

    async def open(self) -> None:
        await self._writing.open()
        await self._writing.run(_migrate)
        await self._reading.open()
        await self._searching.open()

    async def close(self) -> None:
        for lane in (self._writing, self._reading, self._searching):
            await lane.close()

    async def create_session(self, title: str) -> str:
        made, now = str(uuid.uuid4()), int(time.time())

        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (made, title, now, now))
            return made

        return await self._writing.write(work)

    async def sessions(self, most: int) -> Sequence[Session]:
        return await self._sessions("ORDER BY updated_at DESC, rowid DESC LIMIT ?", most)

    async def session(self, session_id: str) -> Session | None:
        return next(iter(await self._sessions("WHERE id = ?", session_id)), None)

    async def _sessions(self, which: str, value: Any) -> Sequence[Session]:
        count = "(SELECT count(*) FROM messages WHERE session = sessions.id)"
        statement = f"SELECT *, {count} AS count FROM sessions {which}"  # noqa: S608 - constants
        rows = await self._reading.run(lambda db: db.execute(statement, (value,)).fetchall())
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
        def work(db: sqlite3.Connection) -> Sequence[Message]:
            rows = db.execute(
                "SELECT * FROM messages WHERE session = ? ORDER BY place DESC LIMIT ?",
                (session_id, -1 if last is None else last),
            ).fetchall()
            return [_message(row) for row in reversed(rows)]

        return await self._reading.run(work)

    async def rename_session(self, session_id: str, title: str) -> bool:
        now = int(time.time())
        statement = "UPDATE sessions SET title = ?, updated_at = ? WHERE id = ?"
        return await self._changed(statement, (title, now, session_id))

    async def delete_session(self, session_id: str) -> bool:
        return await self._changed("DELETE FROM sessions WHERE id = ?", (session_id,))

    async def _changed(self, statement: str, values: Sequence[Any]) -> bool:
        return await self._writing.write(lambda db: db.execute(statement, values).rowcount > 0)

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

        return await self._writing.write(work)

    async def add_document(self, title: str, content: str, metadata: Mapping[str, Any]) -> str:
        made, now = str(uuid.uuid4()), int(time.time())

        def work(db: sqlite3.Connection) -> str:
            db.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?)",
                (made, title, json.dumps(clean(dict(metadata))), now),
            )
            for number, part in enumerate(parts_of(content)):
                place = db.execute(
                    "INSERT INTO parts (document, number, content) VALUES (?, ?, ?)", (made, number, part)
                ).lastrowid
                words = (place, plain(title), plain(part))
                db.execute("INSERT INTO words (rowid, title, content) VALUES (?, ?, ?)", words)
            return made

        return await self._writing.write(work)

    async def documents(self, most: int) -> Sequence[Document]:
        def work(db: sqlite3.Connection) -> Sequence[Document]:
            rows = db.execute(
                "SELECT id AS document, title, metadata, timestamp, '' AS content, 0 AS number FROM documents"
                " ORDER BY timestamp DESC, rowid DESC LIMIT ?",
                (most,),
            )
            return [_document(row) for row in rows]

        return await self._reading.run(work)

    async def delete_document(self, doc_id: str) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            db.execute(
                "DELETE FROM words WHERE rowid IN (SELECT place FROM parts WHERE document = ?)", (doc_id,)
            )
            return db.execute("DELETE FROM documents WHERE id = ?", (doc_id,)).rowcount > 0

        return await self._writing.write(work)

    async def search(self, query: Query) -> Sequence[Found]:
        return await self._searching.run(lambda db: _search(db, query))

    async def counts(self) -> Counts:
        def work(db: sqlite3.Connection) -> Counts:
            tables = ("sessions", "messages", "documents")
            return Counts(
                **{name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
            )

        return await self._reading.run(work)


def _search(db: sqlite3.Connection, query: Query) -> Sequence[Found]:
    words = words_of(query.text)
    if not words:
        return []
    matching = " OR ".join(f'"{word}"*' for word in words)
    statement = _NARROWED if query.metadata else _SEARCHED
    values = {"words": matching, "most": CANDIDATES, "metadata": json.dumps(dict(query.metadata))}
    found = [
        Found(document=_document(row), score=score_of(query.text, row["title"], row["content"]))
        for row in db.execute(statement, values)
    ]
    return sorted(found, key=lambda one: -one.score)[: query.most]


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
