"""Chats and documents in PostgreSQL, for several processes, with full-text search by `tsvector`.

The words of a text are found by us, as for SQLite, and given to PostgreSQL as they are: no dictionary, no
stop words, prefixes match. While the server is gone, calls raise StorageUnavailable; when it is back, they
work again.
"""

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from system.balancer.storage.base import (
    Counts,
    Document,
    Found,
    Message,
    Query,
    Session,
    StorageUnavailable,
)
from system.balancer.storage.ranking import CANDIDATES, clean, parts_of, plain, score_of, words_of
from system.errors import StartupError

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE sessions (
        place BIGINT GENERATED ALWAYS AS IDENTITY, id TEXT PRIMARY KEY, title TEXT NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
    );
    CREATE INDEX sessions_by_update ON sessions (updated_at, place);
    CREATE TABLE messages (
        place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        role TEXT NOT NULL, content TEXT NOT NULL, images JSONB NOT NULL, timestamp BIGINT NOT NULL
    );
    CREATE INDEX messages_by_session ON messages (session, place);
    CREATE TABLE documents (
        place BIGINT GENERATED ALWAYS AS IDENTITY, id TEXT PRIMARY KEY, title TEXT NOT NULL,
        metadata JSONB NOT NULL, timestamp BIGINT NOT NULL
    );
    CREATE INDEX documents_by_time ON documents (timestamp, place);
    CREATE TABLE parts (
        place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        document TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        number INTEGER NOT NULL, content TEXT NOT NULL, words TSVECTOR NOT NULL
    );
    CREATE INDEX parts_by_document ON parts (document, number);
    CREATE INDEX parts_by_words ON parts USING GIN (words);
    """,
)
"""Each is applied once, in order; `schema_version` counts them. One that was released is never changed."""

ONE_AT_A_TIME = 0x6D75737465720001
"""The advisory lock under which processes that start together migrate one after another."""

WAIT = 3.0
"""Seconds for a connection: who asks while the server is gone is told so after these."""
RECONNECT = 2.0
"""Seconds after which the pool rests until somebody asks again; its pauses grow within them alone."""


@asynccontextmanager
async def postgres(database: str) -> AsyncIterator["Postgres"]:
    """The storage behind a URL; raises StartupError if it cannot be reached or is not ours."""
    try:
        where = _spoken(database)
        connection = await psycopg.AsyncConnection.connect(database, connect_timeout=10, autocommit=True)
        async with connection:
            await _migrate(connection)
    except psycopg.Error as error:
        msg = f"--database {_spoken(database)}: {_words(error)}"
        raise StartupError(msg) from None
    async with AsyncConnectionPool(
        database,
        min_size=1,
        max_size=10,
        timeout=WAIT,
        reconnect_timeout=RECONNECT,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True, "row_factory": dict_row, "connect_timeout": 3},
        connection_class=psycopg.AsyncConnection[DictRow],
    ) as pool:
        yield Postgres(pool, where)


async def _migrate(connection: psycopg.AsyncConnection[Any]) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (ONE_AT_A_TIME,))
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (done INTEGER NOT NULL)")
        row = await (await connection.execute("SELECT max(done) FROM schema_version")).fetchone()
        done = row[0] or 0 if row else 0
        if done > len(MIGRATIONS):
            msg = f"it was written by a newer version of this program (schema {done}); use that one"
            raise psycopg.DatabaseError(msg)
        for number, migration in enumerate(MIGRATIONS[done:], done + 1):
            await connection.execute(migration)
            await connection.execute("INSERT INTO schema_version VALUES (%s)", (number,))


def _spoken(database: str) -> str:
    """A URL without its password."""
    try:
        told = conninfo_to_dict(database)
    except psycopg.Error:
        return database.partition("://")[0] + "://..."
    return f"postgresql://{told.get('host', '')}:{told.get('port', 5432)}/{told.get('dbname', '')}"


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class Postgres:
    """Chats and documents in a PostgreSQL."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]], where: str) -> None:
        self._pool = pool
        self._where = where

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except PoolTimeout:
            msg = f"{self._where}: no connection within {WAIT:g} s"
            raise StorageUnavailable(msg) from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            msg = f"{self._where}: {_words(error)}"
            raise StorageUnavailable(msg) from None

    async def _rows(self, statement: LiteralString, *values: Any) -> Sequence[DictRow]:
        async with self._connected() as connection:
            return await (await connection.execute(statement, values)).fetchall()

    async def _changed(self, statement: LiteralString, *values: Any) -> bool:
        """Whether a statement, committed when this returns, changed a row."""
        async with self._connected() as connection:
            return (await connection.execute(statement, values)).rowcount > 0

    async def create_session(self, title: str) -> str:
        made, now = str(uuid.uuid4()), int(time.time())
        statement = "INSERT INTO sessions (id, title, created_at, updated_at) VALUES (%s, %s, %s, %s)"
        await self._changed(statement, made, clean(title), now, now)
        return made

    async def sessions(self, most: int) -> Sequence[Session]:
        rows = await self._rows(
            "SELECT *, (SELECT count(*) FROM messages WHERE session = sessions.id) AS count FROM sessions"
            " ORDER BY updated_at DESC, place DESC LIMIT %s",
            most,
        )
        return [_session(row) for row in rows]

    async def session(self, session_id: str) -> Session | None:
        rows = await self._rows(
            "SELECT *, (SELECT count(*) FROM messages WHERE session = sessions.id) AS count FROM sessions"
            " WHERE id = %s",
            clean(session_id),
        )
        return next(map(_session, rows), None)

    async def messages(self, session_id: str, last: int | None = None) -> Sequence[Message]:
        statement = "SELECT * FROM messages WHERE session = %s ORDER BY place DESC LIMIT %s"
        return [_message(row) for row in reversed(await self._rows(statement, clean(session_id), last))]

    async def rename_session(self, session_id: str, title: str) -> bool:
        statement = "UPDATE sessions SET title = %s, updated_at = %s WHERE id = %s"
        return await self._changed(statement, clean(title), int(time.time()), clean(session_id))

    async def delete_session(self, session_id: str) -> bool:
        return await self._changed("DELETE FROM sessions WHERE id = %s", clean(session_id))

    async def add_message(
        self, session_id: str, role: str, content: str, images: Sequence[str] = ()
    ) -> str | None:
        made, now = str(uuid.uuid4()), int(time.time())
        statement: LiteralString = (
            # the row of the chat is locked first, so that places are in the order of commits
            "WITH touched AS (UPDATE sessions SET updated_at = %s WHERE id = %s RETURNING id)"
            " INSERT INTO messages (id, session, role, content, images, timestamp)"
            " SELECT %s, id, %s, %s, %s::jsonb, %s FROM touched"
        )
        kept = (clean(content), json.dumps(clean(list(images))))
        added = await self._changed(statement, now, clean(session_id), made, role, *kept, now)
        return made if added else None

    async def add_document(self, title: str, content: str, metadata: Mapping[str, Any]) -> str:
        made, now = str(uuid.uuid4()), int(time.time())
        title, content, kept = clean(title), clean(content), json.dumps(clean(dict(metadata)))
        parts = [(made, number, part, _vector(title, part)) for number, part in enumerate(parts_of(content))]
        async with self._connected() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO documents (id, title, metadata, timestamp) VALUES (%s, %s, %s::jsonb, %s)",
                (made, title, kept, now),
            )
            await connection.cursor().executemany(
                "INSERT INTO parts (document, number, content, words) VALUES (%s, %s, %s, %s::tsvector)",
                parts,
            )
        return made

    async def documents(self, most: int) -> Sequence[Document]:
        rows = await self._rows(
            "SELECT id AS document, title, metadata, timestamp, '' AS content, 0 AS number FROM documents"
            " ORDER BY timestamp DESC, place DESC LIMIT %s",
            most,
        )
        return [_document(row) for row in rows]

    async def delete_document(self, doc_id: str) -> bool:
        return await self._changed("DELETE FROM documents WHERE id = %s", clean(doc_id))

    async def search(self, query: Query) -> Sequence[Found]:
        words = words_of(query.text)
        if not words:
            return []
        rows = await self._rows(
            "SELECT p.document, p.number, p.content, d.title, d.metadata, d.timestamp"
            " FROM parts p JOIN documents d ON d.id = p.document, (SELECT %s::tsquery AS words) q"
            " WHERE p.words @@ q.words AND d.metadata @> %s::jsonb"
            " ORDER BY ts_rank('{0, 0, 0.5, 1}', p.words, q.words) DESC, p.place LIMIT %s",
            " | ".join(f"'{word}':*" for word in words),
            json.dumps(clean(dict(query.metadata))),
            CANDIDATES,
        )
        found = [
            Found(document=_document(row), score=score_of(query.text, row["title"], row["content"]))
            for row in rows
        ]
        return sorted(found, key=lambda one: -one.score)[: query.most]

    async def counts(self) -> Counts:
        (row,) = await self._rows(
            "SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM messages) AS messages,"
            " (SELECT count(*) FROM documents) AS documents"
        )
        return Counts(**row)


def _vector(title: str, part: str) -> str:
    """The words of a part as text of a `tsvector`: those of the title weigh A, others C."""
    above, below = plain(title).split(), plain(part).split()
    # words are letters and digits alone: none has a quote or a backslash
    placed = [f"'{word}':{place}A" for place, word in enumerate(above, 1)]
    return " ".join(placed + [f"'{word}':{place}C" for place, word in enumerate(below, len(above) + 1)])


def _session(row: DictRow) -> Session:
    return Session(
        session_id=row["id"],
        title=row["title"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        message_count=row["count"],
    )


def _message(row: DictRow) -> Message:
    return Message(
        message_id=row["id"],
        session_id=row["session"],
        role=row["role"],
        content=row["content"],
        timestamp=row["timestamp"],
        images=tuple(row["images"]),
    )


def _document(row: DictRow) -> Document:
    return Document(
        doc_id=row["document"],
        title=row["title"],
        content=row["content"],
        metadata=row["metadata"],
        timestamp=row["timestamp"],
        chunk=row["number"],
    )
