"""What every storage does, and what SQLite's survives."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from system.balancer.storage import storage_at
from system.balancer.storage.base import Query, Storage
from system.balancer.storage.ranking import LONGEST_PART, parts_of, score_of
from system.errors import StartupError


def within(database: Path, use: Callable[[Storage], Awaitable[None]]) -> None:
    async def test() -> None:
        async with storage_at(str(database)) as storage:
            await use(storage)

    asyncio.run(test())


def test_chats_are_kept_in_order(tmp_path: Path) -> None:
    """The one that changed last first; its last messages in their order; all of it after a restart."""
    made: list[str] = []

    async def fill(storage: Storage) -> None:
        made.extend([await storage.create_session("first"), await storage.create_session("second")])
        for number in range(7):
            assert await storage.add_message(made[0], "user", str(number), ["aGk="])
        assert await storage.add_message("nobody", "user", "x") is None

    async def look(storage: Storage) -> None:
        last = await storage.messages(made[0], 3)
        assert [(one.content, one.images) for one in last] == [(n, ("aGk=",)) for n in "456"]
        session = await storage.session(made[0])
        assert session is not None
        assert (session.title, session.message_count) == ("first", 7)
        counts = await storage.counts()
        assert (counts.sessions, counts.messages, counts.documents) == (2, 7, 0)
        assert await storage.delete_session(made[0])
        assert not await storage.delete_session(made[0])
        assert (await storage.counts()).messages == 0

    within(tmp_path / "db", fill)
    within(tmp_path / "db", look)


def test_search_finds_what_fits_best(tmp_path: Path) -> None:
    """With the original's points: 0.9 for a word in title and content; metadata narrow it; deleted is gone."""

    async def test(storage: Storage) -> None:
        wheat = await storage.add_document("Wheat", "Growing wheat in spring.", {"lang": "en", "year": 2024})
        await storage.add_document("Mais", "Mais und Weizen (wheat).", {"lang": "de"})
        await storage.add_document("Rice", "Paddies.", {})
        found = await storage.search(Query(text="wheat"))
        assert [(one.document.title, one.score) for one in found] == [("Wheat", 0.9), ("Mais", 0.6)]
        only = await storage.search(Query(text="wheat", metadata={"lang": "de"}))
        assert [one.document.title for one in only] == ["Mais"]
        assert not await storage.search(Query(text="wheat", metadata={"year": 2023}))
        assert not await storage.search(Query(text='"; DROP TABLE words; --'))
        assert not await storage.search(Query(text="?!"))
        assert await storage.delete_document(wheat)
        assert [one.document.title for one in await storage.search(Query(text="WHEAT"))] == ["Mais"]

    within(tmp_path / "db", test)


def test_long_documents_are_found_by_their_parts(tmp_path: Path) -> None:
    """The part that fits is given, not the whole book."""
    pages = [f"Page {number} is about topic{number}. " * 40 for number in range(20)]

    async def test(storage: Storage) -> None:
        await storage.add_document("Book", "\n\n".join(pages), {})
        (best, *_) = await storage.search(Query(text="topic13"))
        assert "topic13" in best.document.content
        assert best.document.chunk > 5
        assert len(best.document.content) <= LONGEST_PART

    within(tmp_path / "db", test)


def test_parts_overlap_and_lose_nothing() -> None:
    """Every word of a document stands in one of its parts."""
    text = " ".join(f"word{number}" for number in range(3_000))
    parts = parts_of(text)
    assert all(len(part) <= LONGEST_PART for part in parts)
    assert set(text.split()) <= {word for part in parts for word in part.split()}
    assert parts_of("") == [""]
    assert parts_of("x" * 5_000)[0] == "x" * LONGEST_PART


@pytest.mark.parametrize(
    ("query", "score"), [("wheat", 0.9), ("wheat spring", 0.2), ("Wheat in", 0.7), ("rice", 0.0)]
)
def test_points_of_the_original(query: str, score: float) -> None:
    """Whole query in content and in title, and its words."""
    assert score_of(query, "Wheat", "Grow wheat in spring") == pytest.approx(score)


def test_a_file_that_is_no_database_is_said_in_words(tmp_path: Path) -> None:
    """And one of a newer version is left alone."""
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 100, encoding="utf-8")
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    for name, says in [
        ("text", "not a database"),
        ("newer", "newer version"),
        ("no/such/folder", "unable to open"),
    ]:
        with pytest.raises(StartupError, match=says):
            within(tmp_path / name, lambda _: asyncio.sleep(0))


WRITER = """
import asyncio, sys
from system.balancer.storage import storage_at

async def main():
    async with storage_at(sys.argv[1]) as storage:
        session = await storage.create_session("x")
        number = 0
        while True:
            await storage.add_message(session, "user", str(number))
            print(session, number, flush=True)
            number += 1

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_a_crash_loses_nothing_that_was_acknowledged(attempt: int, tmp_path: Path) -> None:
    """A writer is killed in the middle of it: what it said that it had written is there."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "db")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(20 + 17 * attempt)]
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    writer.wait(10)
    writer.stdout.close()
    session, last = [line for line in lines if line.endswith("\n")][-1].split()

    async def test(storage: Storage) -> None:
        written = [int(one.content) for one in await storage.messages(session)]
        assert written == list(range(len(written)))
        assert len(written) > int(last)

    within(tmp_path / "db", test)
