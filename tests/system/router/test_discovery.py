"""Following a registry: used when it registers, left when it is removed, kept while the registry is away."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from system.registry.program import RegistryConfig, serve
from system.router.events import Event, EventReader
from tests.system.router.stage import ADDRESS, Call, FakeBackend, Stage, free_port, play, router, until, whole


class FakeRegistry(FakeBackend):
    """Lists what it is told to, as a registry does."""

    def __init__(self, port: int = 0) -> None:
        super().__init__("registry", self.list, port=port)
        self.services: list[dict[str, Any]] = []

    @staticmethod
    async def list(registry: FakeBackend, call: Call) -> None:
        assert isinstance(registry, FakeRegistry)
        if call.head.startswith(b"GET /watch "):
            registry.calls.pop()
            await call.send(whole(b"{}", "404 Not Found"))
            return
        assert call.head.startswith(b"GET /services?healthy=true HTTP/1.1")
        await call.send(whole(json.dumps({"services": registry.services, "total": 0}).encode()))

    @property
    def url(self) -> str:
        return f"http://127.77.3.1:{self.port}"


async def names(stage: Stage) -> set[str]:
    return set(await stage.services())


@asynccontextmanager
async def real_registry(port: int) -> AsyncIterator[httpx.AsyncClient]:
    """This project's own registry, which has a watch."""
    config = RegistryConfig(host=ADDRESS, port=port, health_interval=0, drain=0.2)
    async with serve(config), httpx.AsyncClient(base_url=f"http://{ADDRESS}:{port}") as client:
        yield client


def registration(backend: FakeBackend) -> dict[str, Any]:
    more = {"hostname": "h", "status": "running", "url": f"http://{ADDRESS}:{backend.port}", "ttl": 30}
    return {**backend.entry, **more}


async def used(stage: Stage, name: str) -> float:
    """Seconds until a service is in the table."""

    async def is_used() -> bool:
        return name in await stage.services()

    began = time.monotonic()
    await until(is_used)
    return time.monotonic() - began


async def left(stage: Stage, name: str) -> float:
    """Seconds until a service is not in the table."""

    async def is_left() -> bool:
        return name not in await stage.services()

    began = time.monotonic()
    await until(is_left)
    return time.monotonic() - began


async def asked_again(registry: FakeRegistry, times: int = 2) -> None:
    """Wait until the registry has been asked anew, so that its present list was taken."""
    before = len(registry.calls)
    await until(lambda: len(registry.calls) >= before + times)


def test_registered_service_is_used_and_removed_service_left(tmp_path: Path) -> None:
    """The next answer of the registry is followed, both ways."""

    async def scene() -> None:
        registry, backend = FakeRegistry(), FakeBackend("a")
        await registry.start()
        await backend.start()
        async with router(tmp_path, registry=(registry.url,), poll_interval=0.02) as stage:
            assert (await stage.chat()).status == 404
            registry.services = [backend.entry]
            await asked_again(registry)
            assert (await stage.chat()).headers["x-muster-backend"] == "a"
            registry.services = []
            await asked_again(registry)
            assert (await stage.chat()).status == 503
        await registry.stop()
        await backend.stop()

    play(scene())


def test_registry_that_is_away_does_not_take_the_backends_with_it(tmp_path: Path) -> None:
    """Its last word stands, /health says so, and an empty one that comes back is doubted."""

    async def scene() -> None:
        registry, backend = FakeRegistry(), FakeBackend("a")
        await registry.start()
        await backend.start()
        registry.services = [backend.entry]
        async with router(tmp_path, registry=(registry.url,), poll_interval=0.02) as stage:
            await registry.stop()
            await until(lambda: not registry._tasks)
            assert (await stage.chat()).status == 200

            async def away() -> str:
                return str((await stage.ask("GET", "/health")).json["message"])

            while "going on with what it said last" not in await away():
                pass
            registry.services = []
            await registry.start()
            await asked_again(registry)
            assert await names(stage) == {"a"}
            assert (await stage.chat()).status == 200
        await registry.stop()
        await backend.stop()

    play(scene())


def test_router_starts_without_its_registry_and_is_not_ready(tmp_path: Path) -> None:
    """A registry that is not there yet does not keep the router from starting; /ready says when it was heard."""

    async def scene() -> None:
        registry = FakeRegistry(free_port())
        async with router(tmp_path, registry=(registry.url,), poll_interval=0.02) as stage:
            assert (await stage.ask("GET", "/ready")).status == 503
            assert (await stage.ask("GET", "/health")).status == 200
            await registry.start()
            await asked_again(registry)
            assert (await stage.ask("GET", "/ready")).status == 200
        await registry.stop()

    play(scene())


def test_watch_brings_and_takes_a_backend_at_once(tmp_path: Path) -> None:
    """Used within 50 ms of registering, left within 50 ms of unregistering, without being asked."""

    async def scene() -> None:
        backend, port = await FakeBackend("a").start(), free_port()
        async with real_registry(port) as registry:
            url = f"http://{ADDRESS}:{port}"
            async with router(tmp_path, registry=(url,), poll_interval=60.0) as stage:
                await until_watched(registry)
                assert (await registry.post("/services", json=registration(backend))).status_code == 201
                assert await used(stage, "a") < 0.05
                assert (await stage.chat()).headers["x-muster-backend"] == "a"
                await registry.delete("/services/a")
                assert await left(stage, "a") < 0.05
        await backend.stop()

    play(scene())


async def lags_of(stage: Stage) -> list[float]:
    """The sum of the lags of discovery that were measured, and their number."""
    page = (await stage.ask("GET", "/metrics")).body.decode().splitlines()
    start = "muster_router_discovery_lag_seconds_"
    return [float(row.rpartition(" ")[2]) for row in page if row.startswith((f"{start}count", f"{start}sum"))]


def test_lag_of_discovery_is_measured(tmp_path: Path) -> None:
    """Once for each registration while the registry is followed; not for what was there before, nor for renewals."""

    async def scene() -> None:
        before, after = await FakeBackend("before").start(), await FakeBackend("after").start()
        port = free_port()
        url = f"http://{ADDRESS}:{port}"
        async with real_registry(port) as registry:
            await registry.post("/services", json=registration(before))
            async with router(tmp_path, registry=(url,), poll_interval=60.0) as stage:
                await until_watched(registry)
                assert await lags_of(stage) == [0, 0]
                await registry.post("/services/before/heartbeat")
                await registry.post("/services", json=registration(after))
                await used(stage, "after")
                await registry.post("/services/after/heartbeat")
                after.models = ("m", "n")
                await registry.put("/services/after", json={"metadata": after.entry["metadata"]})

                async def updated() -> bool:
                    return list((await stage.services())["after"]["models"]) == ["m", "n"]

                await until(updated)
                total, number = await lags_of(stage)
                assert (number, 0.0 < total < 5.0) == (1, True)
        await before.stop()
        await after.stop()

    play(scene())


def test_lag_of_discovery_is_measured_where_a_registry_is_asked(tmp_path: Path) -> None:
    """Also without a watch; a service that does not say when it registered is left out."""
    old = (datetime.now(UTC) - timedelta(seconds=7)).isoformat()

    async def scene() -> None:
        backends = [await FakeBackend(name).start() for name in "abc"]
        registry = FakeRegistry()
        registry.services = [{**backends[0].entry, "timestamp": old}]
        await registry.start()
        async with router(tmp_path, registry=(registry.url,), poll_interval=0.02) as stage:
            await used(stage, "a")
            registry.services += [{**backends[1].entry, "timestamp": old}, backends[2].entry]
            await used(stage, "c")
            await asked_again(registry)
            total, number = await lags_of(stage)
            assert (number, 7.0 <= total < 12.0) == (1, True)
        for backend in (*backends, registry):
            await backend.stop()

    play(scene())


def test_watch_is_taken_up_again_after_a_restart_of_the_registry(tmp_path: Path) -> None:
    """The restarted registry is empty at first: what it forgot stays in use, what registers then is used."""

    async def scene() -> None:
        old, new, port = await FakeBackend("old").start(), await FakeBackend("new").start(), free_port()
        async with router(tmp_path, registry=(f"http://{ADDRESS}:{port}",), poll_interval=0.02) as stage:
            async with real_registry(port) as registry:
                await until_watched(registry)
                await registry.post("/services", json=registration(old))
                await used(stage, "old")
            async with real_registry(port) as registry:
                await until_watched(registry)
                await registry.post("/services", json=registration(new))
                await used(stage, "new")
                assert set(await stage.services()) == {"old", "new"}
                await registry.post("/services", json=registration(old))
                await registry.delete("/services/old")
                await left(stage, "old")
        await old.stop()
        await new.stop()

    play(scene())


async def until_watched(registry: httpx.AsyncClient) -> None:
    async def is_watched() -> bool:
        return "registry_watchers 1" in (await registry.get("/metrics")).text

    await until(is_watched)


STREAM = b'event: put\nid: e.1\ndata: {"a":1}\n\n: comment\n\ndata: x\r\ndata: y\r\n\r\nevent: bookmark\nid: e.2\ndata: {}\n\n'


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_events_are_read_however_they_arrive(step: int) -> None:
    """Whole, byte by byte, with either kind of line end."""
    reader = EventReader()
    events = [
        event for start in range(0, len(STREAM), step) for event in reader.feed(STREAM[start : start + step])
    ]
    assert [event for event in events if event.data] == [
        Event("put", "e.1", b'{"a":1}'),
        Event("message", "", b"x\ny"),
        Event("bookmark", "e.2", b"{}"),
    ]
