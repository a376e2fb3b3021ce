"""Probes of what is registered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.system.registry.served import ADDRESS, serving, until
from tests.system.registry.simulated import SERVICE


@asynccontextmanager
async def backend(status: bytes, gate: asyncio.Event | None = None) -> AsyncIterator[dict[str, Any]]:
    """A service whose every answer has this status; gives its registration."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if gate is not None:
            await gate.wait()
        writer.write(b"HTTP/1.1 " + status + b" x\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, ADDRESS, 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield {**SERVICE, "host": ADDRESS, "port": port, "url": f"http://{ADDRESS}:{port}"}


async def health(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/services/a/health")
    assert answer.status_code == 200
    document = answer.json()
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (b"200", "healthy"),
        (b"204", "healthy"),
        (b"404", "healthy"),
        (b"500", "unhealthy"),
        (b"junk", "unhealthy"),
    ],
)
def test_judges_by_the_answer(status: bytes, verdict: str) -> None:
    """2xx is healthy, so is a server without such a page; anything else is not."""

    async def scenario() -> None:
        async with serving() as client, backend(status) as service:
            await client.post("/services", json=service)
            assert (await health(client))["health_status"] == verdict
            assert (await client.get("/services/a")).json()["health_status"] == verdict

    asyncio.run(scenario())


def test_a_service_that_cannot_be_reached_is_unhealthy() -> None:
    """A refused connection is a verdict, not an error."""

    async def scenario() -> None:
        async with serving() as client:
            await client.post("/services", json={**SERVICE, "url": f"http://{ADDRESS}:1"})
            found = await health(client)
            assert (found["health_status"], found["is_healthy"]) == ("unhealthy", True)

    asyncio.run(scenario())


def test_a_service_that_does_not_answer_in_time_is_unhealthy() -> None:
    """A probe ends with its timeout."""

    async def scenario() -> None:
        gate = asyncio.Event()
        async with serving(health_timeout=0.1) as client, backend(b"200", gate) as service:
            await client.post("/services", json=service)
            assert (await health(client))["health_status"] == "unhealthy"
            gate.set()

    asyncio.run(scenario())


def test_a_healthy_probe_on_request_counts_as_a_heartbeat() -> None:
    """Asking about a service that is well keeps it registered."""

    async def scenario() -> None:
        async with serving() as client, backend(b"200") as service:
            await client.post("/services", json={**service, "ttl": 60})
            before = (await client.get("/services/a")).json()["last_heartbeat"]
            assert (await health(client))["last_heartbeat"] > before

    asyncio.run(scenario())


def test_a_probe_says_nothing_about_a_registration_that_came_meanwhile() -> None:
    """A verdict belongs to what was probed."""

    async def scenario() -> None:
        gate = asyncio.Event()
        async with serving() as client, backend(b"200", gate) as service:
            await client.post("/services", json=service)
            asked = asyncio.create_task(health(client))
            await until(lambda: _is_waiting(client))
            await client.post("/services", json={**SERVICE, "url": "http://10.0.0.1:9"})
            gate.set()
            assert (await asked)["health_status"] == "unknown"

    asyncio.run(scenario())


async def _is_waiting(client: httpx.AsyncClient) -> bool:
    return "\nregistry_probes_running 1\n" in (await client.get("/metrics")).text


def test_probes_everything_every_interval() -> None:
    """The background probes set the health status by themselves."""

    async def scenario() -> None:
        async with serving(health_interval=0.05) as client, backend(b"200") as service:
            await client.post("/services", json=service)
            await until(lambda: _is_healthy(client))

    asyncio.run(scenario())


async def _is_healthy(client: httpx.AsyncClient) -> bool:
    return bool((await client.get("/services/a")).json()["health_status"] == "healthy")
