"""Several registries, one table: against a real Redis."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from system.registry.stores import redis
from system.registry.stores.scripts import KEYS, WRITE
from tests.system.registry.served import ADDRESS, connected, gone, route, serving, until
from tests.system.registry.sharing import (
    NEEDED,
    Server,
    is_alone,
    is_shared,
    names,
    play,
    register,
    shows,
)

pytest.importorskip("redis", reason="the package redis is not installed")
pytestmark = NEEDED


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


def test_a_replica_of_one_is_routable_through_the_other(server: Server) -> None:
    """A connection to one registry is a lease in both, and its end is, too."""

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        async with connected(one):
            await shows(other, "r1")
            assert await route(other, "model=qwen2") == "r1"
        await gone(other)
        await gone(one)

    play(server.url, scenario)


def test_what_changes_in_one_changes_in_the_other(server: Server) -> None:
    """Updates, drains and removals through either are seen in both, lease ids included."""

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        lease = await register(one, "a", metadata={"models": ["m"]})
        await shows(other, "a")
        assert (await other.delete("/services/a?lease_id=wrong")).status_code == 409
        await other.post("/services/a/drain")
        await gone(one, "model=m")
        await one.put("/services/a", json={"metadata": {"models": ["n"]}})
        await until(lambda: has_metadata(other, {"models": ["n"]}))
        assert (await other.delete(f"/services/a?lease_id={lease}")).status_code == 200
        await shows(one)

    play(server.url, scenario)


async def has_metadata(client: httpx.AsyncClient, metadata: dict[str, Any]) -> bool:
    return bool((await client.get("/services/a")).json()["metadata"] == metadata)


def test_heartbeats_may_go_to_either(server: Server) -> None:
    """An entry lives as long as somebody hears of it, and ends in both when nobody does."""

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        await register(one, "a", ttl=0.9)
        await shows(other, "a")
        for turn in range(10):
            await asyncio.sleep(0.15)
            client = other if turn < 7 else one
            assert (await client.post("/services/a/heartbeat")).status_code == 200
        assert await names(one) == await names(other) == {"a"}
        await shows(one)
        await shows(other)

    play(server.url, scenario)


def test_a_replica_that_moved_belongs_to_its_new_connection(server: Server) -> None:
    """Registering through another registry takes over; the end of the older connection removes nothing."""

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        async with connected(other, endpoint="new:1"):
            pass
        async with contextlib.AsyncExitStack() as older:
            old = await older.enter_async_context(connected(one))
            await shows(other, "r1")
            async with connected(other, endpoint="new:1"):
                assert (await old.told())["status"] == "replaced"
                await older.aclose()
                await register(one, "marker")
                await shows(other, "r1", "marker")
                assert (await one.get("/route?model=qwen2")).json()["endpoint"] == "new:1"
        await shows(one, "marker")

    play(server.url, scenario)


@asynccontextmanager
async def program(url: str) -> AsyncIterator[tuple[subprocess.Popen[str], httpx.AsyncClient]]:
    """A registry as a process of its own."""
    command = [sys.executable, "-m", "system", "registry", "--host", ADDRESS, "--port", "0", "--store", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - so that it can be killed
    assert process.stdout is not None
    try:
        async with httpx.AsyncClient(base_url=process.stdout.readline().split()[-1], timeout=5) as client:
            await until(lambda: is_shared(client))
            yield process, client
    finally:
        process.kill()
        process.communicate()


def test_a_registry_that_dies_takes_only_its_own_connections_with_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed: what was connected to it goes, what sends heartbeats stays, as does what is connected elsewhere."""
    monkeypatch.setattr(redis, "SETTLED", 0.0)

    async def scenario() -> None:
        async with (
            serving(store=server.url) as survivor,
            program(server.url) as (process, victim),
            connected(survivor, replica_id="stays"),
        ):
            await register(victim, "beats", ttl=6)
            replica = connected(victim, replica_id="goes")
            await replica.__aenter__()
            await shows(survivor, "stays", "beats", "goes")
            process.kill()
            with contextlib.suppress(httpx.HTTPError):
                await replica.__aexit__(None, None, None)
            await shows(survivor, "stays", "beats")
            assert (await survivor.post("/services/beats/heartbeat")).status_code == 200

    asyncio.run(scenario())


def test_a_registry_that_leaves_says_so(server: Server) -> None:
    """Stopped in order: its connections' entries are gone from the others at once."""

    async def scenario() -> None:
        async with serving(store=server.url) as stays, httpx.AsyncClient(timeout=5) as outside:
            async with serving(store=server.url) as leaves:
                await until(lambda: is_shared(leaves))
                outside.base_url = leaves.base_url
                replica = connected(outside)
                await replica.__aenter__()
                await register(leaves, "beats")
                await shows(stays, "beats", "r1")
            await shows(stays, "beats")
            await replica.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("emptied", [False, True])
def test_serves_on_without_redis_and_agrees_again_with_it(server: Server, emptied: bool) -> None:
    """Away: nothing is forgotten, requests are answered, it is said. Back, even empty: both agree, on everything."""

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        async with connected(one, replica_id="before"):
            await register(one, "beats", ttl=60)
            await register(one, "leaves", ttl=60)
            await shows(other, "before", "beats", "leaves")
            if emptied:
                server.kill()
            else:
                server.process.send_signal(signal.SIGSTOP)
            await until(lambda: is_alone(one))
            await until(lambda: is_alone(other))
            assert await route(other, "model=qwen2") == "before"
            await one.delete("/services/leaves")
            await register(other, "meanwhile")
            async with connected(other, replica_id="too"):
                assert await names(one) == {"before", "beats"}
                if emptied:
                    server.start()
                else:
                    server.process.send_signal(signal.SIGCONT)
                for client in (one, other):
                    await shows(client, "before", "beats", "meanwhile", "too")
            for client in (one, other):
                await shows(client, "before", "beats", "meanwhile")

    play(server.url, scenario)


def test_starts_without_redis_and_finds_it_later(server: Server) -> None:
    """No Redis at start is no reason not to serve."""
    server.kill()

    async def scenario() -> None:
        async with serving(store=server.url) as client:
            await until(lambda: is_alone(client))
            await register(client, "a")
            server.start()
            await until(lambda: is_shared(client))
            async with serving(store=server.url) as later:
                await shows(later, "a")

    asyncio.run(scenario())


def test_looks_for_redis_again_whatever_ended_the_last_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours, or a cancellation that a library let through, is not the end of sharing."""
    load, ends = redis.RedisStore._load, iter([RuntimeError("a bug"), asyncio.CancelledError()])

    async def fails_at_first(self: redis.RedisStore) -> str:
        for end in ends:
            raise end
        return await load(self)

    monkeypatch.setattr(redis.RedisStore, "_load", fails_at_first)

    async def scenario() -> None:
        async with serving(store=server.url) as client:
            await until(lambda: is_shared(client))

    asyncio.run(scenario())


def test_the_script_refuses_what_the_model_refuses(server: Server) -> None:
    """In Redis as in the tests' model: an end by silence counts only if who says it still keeps the entry."""
    import redis as library

    client = library.Redis.from_url(server.url)
    keys = [f"{{t}}:{name}" for name in KEYS]

    def write(*words: str) -> Any:
        return client.eval(WRITE, len(keys), *keys, "me", *words)

    assert write("put", "a", "lease", "other", "record", "registered") == [1]
    assert write("offer", "a", "later", "me", "worse", "updated") == [[b"lease", b"other", b"record"]]
    assert write("delete", "a", "lease", "me", "", "expired") == [[b"lease", b"other", b"record"]]
    assert write("delete", "a", "wrong", "me", "", "unregistered") == [[b"lease", b"other", b"record"]]
    assert write("keep", "a", "lease", "me", "", "updated") == [1]
    assert write("delete", "a", "lease", "me", "", "expired") == [1]
    assert write("delete", "a", "lease", "me", "", "expired", "keep", "a", "lease", "me", "", "updated") == [
        [b"", b"", b""],
        [b"", b"", b""],
    ]
    client.close()


def test_names_a_store_that_there_is_not() -> None:
    """A mistaken --store is wrong usage, told in one line."""
    command = [sys.executable, "-m", "system", "registry", "--port", "0", "--store", "etcd://x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=10)
    assert done.returncode == 2
    assert "--store etcd://x: must be memory or an URL" in done.stderr
