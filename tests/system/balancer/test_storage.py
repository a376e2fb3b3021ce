"""What every storage does, in a file and in a server alike, and what it survives."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from system.balancer.storage import storage_at
from system.balancer.storage.base import Query, Storage, StorageUnavailable
from system.balancer.storage.ranking import LONGEST_PART, parts_of, score_of
from system.errors import StartupError
from tests.system.balancer.postgres_server import MISSING, Server, postgres_server, program
from tests.system.balancer.served import until


def within(database: str, use: Callable[[Storage], Awaitable[None]]) -> None:
    async def test() -> None:
        async with asyncio.timeout(30), storage_at(database) as storage:
            await use(storage)

    asyncio.run(test())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as started:
        yield started


NEEDS_SERVER = [pytest.mark.slow, pytest.mark.skipif(not program("initdb"), reason=MISSING)]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=NEEDS_SERVER)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new storage is, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "db")
    server: Server = request.getfixturevalue("server")
    return server.database()


def test_chats_are_kept_in_order(database: str) -> None:
    """The one that changed last first; its last messages in their order; all of it after a restart."""
    made: list[str] = []

    async def fill(storage: Storage) -> None:
        made.extend([await storage.create_session("first"), await storage.create_session("second")])
        for number in range(7):
            assert await storage.add_message(made[0], "user", str(number), ["aGk="])
        assert await storage.add_message("nobody", "user", "x") is None
        assert [one.title for one in await storage.sessions(5)] in (["first", "second"], ["second", "first"])

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

    within(database, fill)
    within(database, look)


def test_search_finds_what_fits_best(database: str) -> None:
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

    within(database, test)


def test_long_documents_are_found_by_their_parts(database: str) -> None:
    """The part that fits is given, not the whole book."""
    pages = [f"Page {number} is about topic{number}. " * 40 for number in range(20)]

    async def test(storage: Storage) -> None:
        await storage.add_document("Book", "\n\n".join(pages), {})
        (best, *_) = await storage.search(Query(text="topic13"))
        assert "topic13" in best.document.content
        assert best.document.chunk > 5
        assert len(best.document.content) <= LONGEST_PART

    within(database, test)


def test_words_are_found_whatever_their_form(database: str) -> None:
    """Beginnings of words, without case and accents, of any script; NUL and quotes are characters like others."""

    async def test(storage: Storage) -> None:
        for title in ("Straße in Łódź", "Café 'au' lait", "日本語 テスト", "snake_case_name", "nul\0nul \\"):
            await storage.add_document(title, f"About {title}.", {"of": title})
        for query, found_in in [
            ("STRASSE", "Straße in Łódź"),
            ("stra", "Straße in Łódź"),
            ("cafe", "Café 'au' lait"),
            ("日本", "日本語 テスト"),
            ("case_na", "snake_case_name"),
            ("x" * 3_000, None),
        ]:
            found = [one.document.title for one in await storage.search(Query(text=query))]
            assert found == ([found_in] if found_in else []), query
        (odd,) = await storage.search(Query(text="nul"))
        assert odd.document.title.startswith("nul")

    within(database, test)


def test_metadata_are_compared_as_what_they_are(database: str) -> None:
    """1 is 1.0, and neither true nor "1"; what is not there is equal to nothing; names may be anything."""
    kinds = {"one": 1, "true": True, "text": "1", "null": None, "list": [1], "none": {}}

    async def test(storage: Storage) -> None:
        for title, value in kinds.items():
            await storage.add_document(title, "word", {} if title == "none" else {'a "b" $.c': value})
        for value, titles in [(1.0, ["one"]), (True, ["true"]), ("1", ["text"]), (False, []), (10**30, [])]:
            found = await storage.search(Query(text="word", most=9, metadata={'a "b" $.c': value}))
            assert [one.document.title for one in found] == titles, value

    within(database, test)


def test_those_who_write_at_once_are_all_written(database: str) -> None:
    """A failure among them is its own alone."""

    async def test(storage: Storage) -> None:
        session = await storage.create_session("x")
        adding = [storage.add_message(session, "user", str(number)) for number in range(200)]
        broken = storage.add_message(session, None, "x")  # type: ignore[arg-type]
        *added, failed = await asyncio.gather(*adding, broken, return_exceptions=True)
        assert isinstance(failed, Exception)
        kept = await storage.messages(session)
        assert {one.message_id for one in kept} == set(added)
        assert len(kept) == 200

    within(database, test)


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
            within(str(tmp_path / name), lambda _: asyncio.sleep(0))


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
def test_a_crash_loses_nothing_that_was_acknowledged(attempt: int, database: str) -> None:
    """A writer is killed in the middle of it: what it said that it had written is there."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database],
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

    within(database, test)


@pytest.mark.slow
@pytest.mark.skipif(not program("initdb"), reason=MISSING)
def test_processes_share_a_server(server: Server) -> None:
    """Started at once on an empty database, one makes the tables; what one has written, the other reads."""
    database = server.database()

    async def test() -> None:
        async with storage_at(database) as one, storage_at(database) as other:
            session = await one.create_session("shared")
            added = await asyncio.gather(
                *(storage.add_message(session, "user", "x") for storage in (one, other) * 20)
            )
            assert {message.message_id for message in await other.messages(session)} == set(added)

    async def together() -> None:
        await asyncio.gather(*(_opened(database) for _ in range(4)))
        await test()

    asyncio.run(together())


async def _opened(database: str) -> None:
    async with storage_at(database):
        pass


@pytest.mark.slow
@pytest.mark.skipif(not program("initdb"), reason=MISSING)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_gone_and_back(server: Server, how: signal.Signals) -> None:
    """Who asks meanwhile is told where and why; afterwards all that was acknowledged is there, and it goes on."""

    async def test(storage: Storage) -> None:
        session = await storage.create_session("x")
        kept = [await storage.add_message(session, "user", str(number)) for number in range(20)]
        server.stop(how)
        try:
            with pytest.raises(StorageUnavailable, match=f"127.77.21.1:{server.port}"):
                await storage.add_message(session, "user", "lost")
        finally:
            server.start()
        back = await until(lambda: _message_added(storage, session))
        assert [one.message_id for one in await storage.messages(session)] == [*kept, back]

    within(server.database(), test)


async def _message_added(storage: Storage, session: str) -> str | None:
    try:
        return await storage.add_message(session, "user", "again")
    except StorageUnavailable:
        return None


def test_a_server_that_cannot_be_reached_is_said_in_words() -> None:
    """Without the password."""
    with pytest.raises(StartupError, match=r"--database postgresql://127.77.21.1:1/x: .*refused") as error:
        within("postgresql://muster:geheim@127.77.21.1:1/x", lambda _: asyncio.sleep(0))
    assert "geheim" not in str(error.value)
