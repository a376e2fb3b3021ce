"""Connections that misbehave."""

import asyncio

import httpx
import pytest

from system.registry import peers
from tests.system.registry.served import ADDRESS, serving, until


async def opened(client: httpx.AsyncClient, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A plain connection on which something was sent."""
    reader, writer = await asyncio.open_connection(ADDRESS, client.base_url.port)
    writer.write(data)
    return reader, writer


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the other side closes, without an answer, within 2 s."""
    try:
        return await asyncio.wait_for(reader.read(), 2) == b""
    except ConnectionResetError:
        return True


async def counted(client: httpx.AsyncClient, line: str) -> bool:
    return f"\n{line}\n" in (await client.get("/metrics")).text


@pytest.mark.parametrize("sent", [b"", b"GET /rou", b"GET /route HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_that_does_not_finish_its_headers_is_closed(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-open and dripping connections end; others are served meanwhile."""
    monkeypatch.setattr(peers, "SLOWEST_HEADERS", 0.1)
    monkeypatch.setattr(peers, "LOOKED_AFTER", 0.02)

    async def scenario() -> None:
        async with serving() as client:
            reader, writer = await opened(client, sent)
            assert (await client.get("/health")).status_code == 200
            assert await closed(reader)
            await until(lambda: counted(client, "registry_slow_connections_total 1"))
            writer.close()

    asyncio.run(scenario())


def test_headers_without_end_are_cut_off() -> None:
    """Memory for headers is bounded."""

    async def scenario() -> None:
        async with serving() as client:
            reader, writer = await opened(client, b"GET /route HTTP/1.1\r\n")
            for _ in range(100):
                writer.write(b"x: " + b"y" * 4_000 + b"\r\n")
            assert await closed(reader)
            writer.close()

    asyncio.run(scenario())


def test_more_connections_than_allowed_are_closed_and_counted() -> None:
    """The limit holds, and whoever is in stays in."""

    async def scenario() -> None:
        async with serving(max_connections=3) as client:
            assert (await client.get("/health")).status_code == 200
            two = [await opened(client, b"GET /") for _ in range(2)]
            reader, writer = await opened(client, b"")
            assert await closed(reader)
            assert await counted(client, "registry_refused_connections_total 1")
            for _, other in two:
                other.close()
            writer.close()

    asyncio.run(scenario())


def test_what_is_not_http_is_answered_with_400() -> None:
    """Noise is a clear 4xx."""

    async def scenario() -> None:
        async with serving() as client:
            reader, writer = await opened(client, b"\x16\x03\x01\x02\x00 noise\r\n\r\n")
            assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 400 ")
            writer.close()

    asyncio.run(scenario())
