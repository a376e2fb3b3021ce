"""Following a registry: used when it registers, left when it is removed, kept while the registry is away."""

import json
from pathlib import Path
from typing import Any

from tests.system.router.stage import Call, FakeBackend, Stage, free_port, play, router, until, whole


class FakeRegistry(FakeBackend):
    """Lists what it is told to, as a registry does."""

    def __init__(self, port: int = 0) -> None:
        super().__init__("registry", self.list, port=port)
        self.services: list[dict[str, Any]] = []

    @staticmethod
    async def list(registry: FakeBackend, call: Call) -> None:
        assert isinstance(registry, FakeRegistry)
        assert call.head.startswith(b"GET /services?healthy=true HTTP/1.1")
        await call.send(whole(json.dumps({"services": registry.services, "total": 0}).encode()))

    @property
    def url(self) -> str:
        return f"http://127.77.3.1:{self.port}"


async def names(stage: Stage) -> set[str]:
    return set(await stage.services())


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
