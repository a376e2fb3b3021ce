"""Several registries, one table: against a real Redis."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from system.registry.stores import redis
from system.registry.stores.scripts import KEYS, WRITE
from tests.system.registry.served import ADDRESS, connected, gone, route, serving, until
from tests.system.registry.simulated import SERVICE

pytest.importorskip("redis", reason="the package redis is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("redis-server"), reason="no redis-server (apt-get install redis-server)"
    ),
]


class Server:
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server((ADDRESS, 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"redis://{ADDRESS}:{self.port}"
        self._command = ["redis-server", "--port", str(self.port), "--bind", ADDRESS, "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        while "Ready to accept connections" not in (line := self.process.stdout.readline()):
            assert line, "redis-server ended"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


Scenario = Callable[[httpx.AsyncClient, httpx.AsyncClient], Coroutine[Any, Any, None]]


def play(url: str, scenario: Scenario, **options: Any) -> None:
    """A scenario with two registries that share a table."""

    async def run() -> None:
        async with serving(store=url, **options) as one, serving(store=url, **options) as other:
            await until(lambda: is_shared(one))
            await until(lambda: is_shared(other))
            await scenario(one, other)

    asyncio.run(run())


async def is_shared(client: httpx.AsyncClient) -> bool:
    return bool((await client.get("/health")).json()["store"]["connected"])


async def names(client: httpx.AsyncClient) -> set[str]:
    return {service["name"] for service in (await client.get("/services")).json()["services"]}


async def shows(client: httpx.AsyncClient, *wanted: str) -> None:
    """Wait until exactly these are registered."""

    async def as_wanted() -> bool:
        return await names(client) == set(wanted)

    await until(as_wanted)


async def register(client: httpx.AsyncClient, name: str, **fields: Any) -> str:
    answer = await client.post("/services", json={**SERVICE, "name": name, **fields})
    assert answer.status_code == 201
    return str(answer.json()["lease_id"])


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


async def is_alone(client: httpx.AsyncClient) -> bool:
    document = (await client.get("/health")).json()
    return document["status"] == "healthy" and not document["store"]["connected"]


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


def test_shows_a_password(tmp_path: Path) -> None:
    """A password in the URL is shown to Redis; without it there is no store."""
    guarded = Server(tmp_path, "--requirepass", "secret")

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        await register(one, "a")
        await shows(other, "a")
        async with serving(store=guarded.url) as stranger:
            await until(lambda: is_alone(stranger))

    try:
        play(guarded.url.replace("redis://", "redis://:secret@"), scenario)
    finally:
        guarded.kill()


def test_shares_through_a_cluster(tmp_path: Path) -> None:
    """All keys are in one slot, so a cluster does as well."""
    node = Server(tmp_path, "--cluster-enabled", "yes", "--cluster-announce-ip", ADDRESS)
    ask = ["redis-cli", "-h", ADDRESS, "-p", str(node.port)]
    subprocess.run([*ask, "cluster", "addslotsrange", "0", "16383"], check=True, capture_output=True)
    while (
        "cluster_state:ok"
        not in subprocess.run([*ask, "cluster", "info"], check=True, capture_output=True, text=True).stdout
    ):
        pass

    async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        async with connected(one):
            await shows(other, "r1")
        await shows(other)

    try:
        play(node.url.replace("redis://", "redis+cluster://"), scenario)
    finally:
        node.kill()


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
