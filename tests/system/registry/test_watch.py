"""`/watch` and the journal behind it: which of etcd's guarantees hold."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.registry import journal, watch
from system.registry.journal import Journal
from tests.system.registry.served import ADDRESS, DEADLINE, connected, serving, until
from tests.system.registry.simulated import SERVICE


class Event(NamedTuple):
    kind: str
    id: str
    data: dict[str, Any]


class Watching:
    """The events of one open watch."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> Event:
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE):
            while line := await anext(self._lines):
                name, _, value = line.partition(": ")
                fields[name] = value
        return Event(fields["event"], fields["id"], json.loads(fields["data"]))

    async def changes(self, number: int) -> list[tuple[str, str]]:
        """The kind and the name of the next changes."""
        events = [await self.next() for _ in range(number)]
        return [(event.kind, event.data["name"]) for event in events]


@asynccontextmanager
async def watching(client: httpx.AsyncClient, since: str | None = None) -> AsyncIterator[Watching]:
    headers = {"last-event-id": since} if since else {}
    async with client.stream("GET", "/watch", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Watching(response)


async def register(client: httpx.AsyncClient, *names: str, **fields: Any) -> None:
    for name in names:
        assert (await client.post("/services", json={**SERVICE, "name": name, **fields})).status_code == 201


def play(scenario: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def run() -> None:
        async with serving(**options) as client:
            await scenario(client)

    asyncio.run(run())


def test_shows_the_table_and_then_every_change() -> None:
    """A snapshot first; then put and delete with their reasons, each with the next revision."""

    async def scenario(client: httpx.AsyncClient) -> None:
        await register(client, "a")
        async with watching(client) as events:
            first = await events.next()
            assert first.kind == "snapshot"
            assert [service["name"] for service in first.data["services"]] == ["a"]
            await register(client, "b", ttl=0.1)
            async with connected(client):
                await client.post("/services/a/drain")
            seen = [await events.next() for _ in range(5)]
        assert sorted((event.kind, event.data["name"], event.data["reason"]) for event in seen) == [
            ("delete", "b", "expired"),
            ("delete", "r1", "disconnected"),
            ("put", "a", "draining"),
            ("put", "b", "registered"),
            ("put", "r1", "registered"),
        ]
        revisions = [event.data["revision"] for event in seen]
        assert revisions == list(range(first.data["revision"] + 1, first.data["revision"] + 6))

    play(scenario)


def test_tells_of_a_registration_that_only_changes_the_owner() -> None:
    """The same again is a change: the entry has another lease, and is younger by what passed in between."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with watching(client) as events:
            await events.next()
            await register(client, "a")
            before = await events.next()
            await asyncio.sleep(0.002)  # timestamps count milliseconds
            await register(client, "a")
            after = await events.next()
        assert (after.kind, after.data["reason"]) == ("put", "registered")
        assert after.data["service"]["timestamp"] > before.data["service"]["timestamp"]

    play(scenario)


def test_resumes_without_a_gap_and_without_repeating() -> None:
    """With the id of any event it saw, a watcher gets exactly what followed it."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with watching(client) as events:
            start = await events.next()
            await register(client, "a", "b", "c")
            middle = [await events.next() for _ in range(3)][1]
        async with watching(client, start.id) as events:
            assert await events.changes(3) == [("put", "a"), ("put", "b"), ("put", "c")]
        async with watching(client, middle.id) as events:
            assert await events.changes(1) == [("put", "c")]

    play(scenario)


@pytest.mark.parametrize("shown", ["deadbeef.1", "1", "x", "deadbeef.99999999999999999999", ".", "²"])
def test_says_when_it_cannot_resume(shown: str) -> None:
    """An id of another registry, or none at all, is answered with a reset and a new snapshot."""

    async def scenario(client: httpx.AsyncClient) -> None:
        await register(client, "a", "b")
        async with client.stream("GET", "/watch", params={"since": shown}) as response:
            events = Watching(response)
            reset = await events.next()
            assert reset.kind == "reset"
            assert shown in reset.data["reason"]
            assert (await events.next()).kind == "snapshot"

    play(scenario)


def test_says_when_the_changes_are_no_longer_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is bounded: a watcher away for too long starts over, and is told so."""
    monkeypatch.setattr(journal.Journal.__init__, "__defaults__", (3, 10_000))

    async def scenario(client: httpx.AsyncClient) -> None:
        async with watching(client) as events:
            start = await events.next()
        await register(client, *"abcd")
        async with watching(client, start.id) as events:
            assert (await events.next()).kind == "reset"
            snapshot = await events.next()
            assert [service["name"] for service in snapshot.data["services"]] == list("abcd")

    play(scenario)


def test_says_where_it_is_when_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bookmarks keep the id fresh and the connection warm."""
    monkeypatch.setattr(watch, "BOOKMARK_EVERY", 0.02)

    async def scenario(client: httpx.AsyncClient) -> None:
        async with watching(client) as events:
            start = await events.next()
            bookmark = await events.next()
            assert (bookmark.kind, bookmark.id) == ("bookmark", start.id)

    play(scenario)


def test_a_watcher_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept for it, others get every change meanwhile, and it is counted."""
    monkeypatch.setattr(watch, "SLOWEST_WRITE", 0.2)

    async def scenario(client: httpx.AsyncClient) -> None:
        _, writer = await asyncio.open_connection(ADDRESS, client.base_url.port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /watch HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: counted(client, "registry_watchers 1"))
        async with watching(client) as events:
            await events.next()
            for number in range(200):
                await register(client, f"s{number}", metadata={"text": "x" * 90_000})
                assert await events.changes(1) == [("put", f"s{number}")]
                if await counted(client, "registry_watchers_cut_off_total 1"):
                    break
            else:
                await until(lambda: counted(client, "registry_watchers_cut_off_total 1"))
            # Its connection has ended, unread bytes and all: left are this watch and this client's other one.
            await until(lambda: counted(client, "registry_connections 2"))
        writer.close()

    play(scenario)


async def counted(client: httpx.AsyncClient, line: str) -> bool:
    return f"\n{line}\n" in (await client.get("/metrics")).text


def test_a_registry_that_drains_ends_its_watches() -> None:
    """Watchers are told to go elsewhere."""

    async def scenario() -> None:
        async with httpx.AsyncClient(timeout=5) as outside:
            async with serving() as client:
                outside.base_url = client.base_url
                opened = watching(outside)
                events = await opened.__aenter__()
                await events.next()
            end = await events.next()
            assert (end.kind, end.data) == ("end", {"reason": "draining"})
            await opened.__aexit__(None, None, None)

    asyncio.run(scenario())


@given(st.integers(1, 5), st.integers(20, 400), st.lists(st.binary(max_size=40), max_size=30), st.data())
def test_the_journal_has_no_gaps(
    most: int, most_bytes: int, written: list[bytes], data: st.DataObject
) -> None:
    """From any position it still knows it gives exactly what followed; of any other it says so."""
    kept = Journal("epoch", most, most_bytes)
    for text in written:
        kept.append("put", text)
    revision = data.draw(st.integers(0, len(written) + 2))
    known = kept.revision_of(f"epoch.{revision}")
    if known is None:
        assert revision > len(written) or kept.after(revision, 99) is None
        return
    after = kept.after(known, 99)
    assert after is not None
    assert [event.split(b"data: ", 1)[1][:-2] for event in after] == written[revision:]
    assert len(after) <= most
