"""A registry on a real socket of its own loopback address, and replicas connected to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from system.registry.program import RegistryConfig, serve

ADDRESS = "127.77.2.1"
DEADLINE = 5.0


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a registry that listens on a free port."""
    settings: dict[str, Any] = {"host": ADDRESS, "port": 0, "health_interval": 0.0, "drain": 1.0}
    config = RegistryConfig(**(settings | options))
    async with serve(config) as started, httpx.AsyncClient(base_url=started.url, timeout=DEADLINE) as client:
        yield client


class Replica:
    """The events that a connected replica is told."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def line(self) -> str:
        """The next line that is not empty."""
        async with asyncio.timeout(DEADLINE):
            while not (line := await anext(self._lines)):
                pass
        return line

    async def told(self) -> dict[str, Any]:
        """The next event."""
        event = json.loads((await self.line()).removeprefix("data: "))
        assert isinstance(event, dict)
        return event

    async def ended(self) -> bool:
        """Whether the stream ends without a further event."""
        async with asyncio.timeout(DEADLINE):
            return not [line async for line in self._lines if line]


@asynccontextmanager
async def connected(client: httpx.AsyncClient, **fields: Any) -> AsyncIterator[Replica]:
    """A replica that is registered for as long as the context lasts."""
    body = {"replica_id": "r1", "endpoint": "10.0.0.1:50051", "capabilities": [{"model": "qwen2"}], **fields}
    async with client.stream("POST", "/register", json=body) as response:
        assert response.status_code == 200
        replica = Replica(response)
        assert (await replica.told())["status"] == "registered"
        assert (await replica.told())["status"] == "alive"
        yield replica


async def until(condition: Callable[[], Awaitable[bool]], within: float = DEADLINE) -> None:
    """Wait until the condition holds, at most for the deadline."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens behind a socket
            await asyncio.sleep(0.005)


async def gone(client: httpx.AsyncClient, query: str = "model=qwen2") -> None:
    """Wait until nothing matches."""

    async def nothing() -> bool:
        return (await client.get(f"/route?{query}")).status_code == 404

    await until(nothing)


async def route(client: httpx.AsyncClient, query: str, **headers: str) -> str | None:
    """The id that a query is sent to."""
    answer = await client.get(f"/route?{query}", headers=headers)
    return None if answer.status_code == 404 else str(answer.json()["replica_id"])
