"""Connections that misbehave."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from system.registry import http, peers
from system.testing import running
from tests.system.registry.served import ADDRESS, serving, until
from tests.system.registry.simulated import SERVICE


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


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tail: bytes) -> bytes:
    """Go on a byte at a time, again and again, until the other side closes; what it answered."""

    async def dripping() -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                for byte in tail:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.01)

    sending = asyncio.create_task(dripping())
    answered = bytearray()
    try:
        async with asyncio.timeout(2):
            with contextlib.suppress(ConnectionResetError):
                while piece := await reader.read(1_000):
                    answered += piece
    finally:
        sending.cancel()
        writer.close()
    return bytes(answered)


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


def test_headers_that_come_a_byte_at_a_time_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte more is no time more: the connection is closed when the time for all headers is over."""
    monkeypatch.setattr(peers, "SLOWEST_HEADERS", 0.3)
    monkeypatch.setattr(peers, "LOOKED_AFTER", 0.02)

    async def scenario() -> None:
        async with serving() as client:
            reader, writer = await opened(client, b"GET /route HTTP/1.1\r\n")
            assert await drip(reader, writer, b"x: y\r\n") == b""
            assert await counted(client, "registry_slow_connections_total 1")

    asyncio.run(scenario())


LENGTH, CHUNKED = b"Content-Length: 10000", b"Transfer-Encoding: chunked"


@pytest.mark.parametrize("path", [b"/register", b"/services", b"/services/a/heartbeat"])
@pytest.mark.parametrize(("framing", "tail"), [(LENGTH, b"{"), (CHUNKED, b"1\r\n{\r\n")])
def test_a_body_that_comes_a_byte_at_a_time_is_answered_with_408(
    path: bytes, framing: bytes, tail: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte more is no time more: 408 when the time for the whole body is over, and the connection ends."""
    monkeypatch.setattr(http, "SLOWEST_BODY", 0.3)

    async def scenario() -> None:
        async with serving() as client:
            assert (await client.post("/services", json=SERVICE)).status_code == 201
            reader, writer = await opened(
                client, b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (path, framing)
            )
            answered = await drip(reader, writer, tail)
            assert answered.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answered
            assert b"the body did not arrive within" in answered

    asyncio.run(scenario())


@pytest.mark.parametrize(("framing", "tail"), [(LENGTH, b"{"), (CHUNKED, b"1\r\n{\r\n"), (LENGTH, b"")])
def test_a_body_that_nobody_reads_does_not_keep_its_connection(
    framing: bytes, tail: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is out before the body came; the rest is not waited for without end."""
    monkeypatch.setattr(peers, "SLOWEST_UNREAD", 0.3)
    monkeypatch.setattr(peers, "LOOKED_AFTER", 0.02)

    async def scenario() -> None:
        async with serving() as client:
            reader, writer = await opened(client, b"GET /ready HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % framing)
            assert (await drip(reader, writer, tail)).startswith(b"HTTP/1.1 200 ")
            assert await counted(client, "registry_slow_connections_total 1")

    asyncio.run(scenario())


def test_a_body_that_comes_in_time_does_not_end_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was waited for has come: a connection that registered stays for longer than a body may take."""
    for slowest in ("SLOWEST_HEADERS", "SLOWEST_UNREAD"):
        monkeypatch.setattr(peers, slowest, 0.2)
    monkeypatch.setattr(peers, "LOOKED_AFTER", 0.02)

    async def scenario() -> None:
        async with serving() as client:
            body = b'{"replica_id":"r1","endpoint":"10.0.0.1:1","capabilities":[{"model":"m"}]}'
            head = b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            reader, writer = await opened(client, head + body[:20])
            await asyncio.wait_for(client.get("/health"), 2)
            writer.write(body[20:])
            while b"alive" not in await asyncio.wait_for(reader.readline(), 2):
                pass
            slow, other = await opened(client, b"GET /route HTTP/1.1\r\n")
            assert await closed(slow), "another one's time is over"
            assert (await client.get("/route?model=m")).status_code == 200
            writer.close()
            other.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /route HTTP/1.1\r\n",
        b"POST /services HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
    ids=["before the body", "after it"],
)
def test_headers_without_end_are_cut_off(beginning: bytes) -> None:
    """Memory for headers is bounded."""

    async def scenario() -> None:
        async with serving() as client:
            reader, writer = await opened(client, beginning)
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


@pytest.mark.slow
def test_a_thousand_connections_that_say_nothing_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are served while they are open; their time over, every one of them is closed."""
    monkeypatch.setattr(peers, "SLOWEST_HEADERS", 1.0)
    monkeypatch.setattr(peers, "LOOKED_AFTER", 0.1)

    async def scenario() -> None:
        async with serving() as client:
            silent = [
                await opened(client, b"GET /route HTTP/1.1\r\n" * (number % 2)) for number in range(1_000)
            ]
            assert (await client.get("/health")).status_code == 200
            assert (await client.post("/services", json=SERVICE)).status_code == 201
            assert all(await asyncio.gather(*(closed(reader) for reader, _ in silent)))
            assert await counted(client, "registry_slow_connections_total 1000")
            for _, writer in silent:
                writer.close()

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
@pytest.mark.parametrize("path", ["/register", "/services"])
def test_a_body_of_100_megabytes_is_refused_and_not_kept(path: str, announced: bool) -> None:
    """413 after at most --max-body, in either dialect, and the memory is what it was."""

    async def megabytes() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_000_000

    def resident() -> int:
        status = Path(f"/proc/{program.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])  # the most it ever was, in kB

    headers = {"content-type": "application/json"} | ({"content-length": "100000000"} if announced else {})

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=program.url, timeout=10) as client:
            assert (await client.get("/health")).status_code == 200
            before = resident()
            # It is closed while it is still sent: the answer may be lost with the connection, never the limit.
            with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
                answer = await client.post(path, content=megabytes(), headers=headers)
                assert answer.status_code == 413
            assert (await client.get("/services")).json()["total"] == 0
            assert resident() - before < 20_000

    with running("system", "registry", "--host", ADDRESS, "--port", "0") as program:
        asyncio.run(scenario())
