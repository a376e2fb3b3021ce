"""The line to a provider, and the pace at which many answers are taken up."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from system.gateway.line import HIGH, Late, Line, LineBroke
from system.gateway.pacing import Pacer

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
SHORT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def no_tls() -> ssl.SSLContext:
    raise AssertionError


@asynccontextmanager
async def line_to(serve: Serve) -> AsyncIterator[Line]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(one, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = Line(f"http://127.0.0.1:{port}", connect_timeout=2, tls=no_tls)
    try:
        yield line
    finally:
        line.close()
        server.close()
        await ended.wait()


async def ask(line: Line, within: float = 5.0) -> bytes:
    reply = await line.send(REQUEST, b"", within)
    return await reply.whole(within)


def test_connections_are_kept() -> None:
    """Three requests, one after the other, take one connection."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(SHORT)

    async def work() -> None:
        async with line_to(serve) as line:
            assert [await ask(line) for _ in range(3)] == [b"ok"] * 3

    asyncio.run(work())
    assert connections == 1


def test_a_connection_that_ended_while_it_was_kept_is_replaced() -> None:
    """A provider closes kept connections when it likes; the request that meets that is sent once more."""
    answered = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        await reader.readuntil(b"\r\n\r\n")
        answered += 1
        writer.write(SHORT)
        await reader.readuntil(b"\r\n\r\n")  # the second request on this connection is not answered
        writer.close()

    async def work() -> None:
        async with line_to(serve) as line:
            assert [await ask(line) for _ in range(3)] == [b"ok"] * 3

    asyncio.run(work())
    assert answered == 3


def test_a_whole_answer_has_one_deadline() -> None:
    """A provider that sends a byte now and then does not stretch the time that an answer may take."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def work() -> None:
        async with line_to(serve) as line:
            began = time.monotonic()
            with pytest.raises(Late):
                await ask(line, within=0.3)
            assert time.monotonic() - began < 3

    asyncio.run(work())


def test_half_an_answer_is_none() -> None:
    """A connection that ends within an answer is broken, not over."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async def work() -> None:
        async with line_to(serve) as line:
            with pytest.raises(LineBroke, match="broke"):
                await ask(line)

    asyncio.run(work())


def test_a_provider_waits_for_who_reads_slowly() -> None:
    """What is not taken is not collected without end: the provider is made to wait, and all of it arrives."""
    size = 16 * 1024 * 1024
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async def work() -> None:
        async with line_to(serve) as line:
            reply = await line.send(REQUEST, b"", 5)
            before = -1
            while sent != before:  # until it does not get any further
                before = sent
                await asyncio.sleep(0.1)
            assert sent < size
            assert sum(map(len, reply._parts)) < HIGH + 4 * 1024 * 1024
            assert sum([len(part) async for part in reply.parts(5)]) == size

    asyncio.run(work())


def test_few_go_on_in_one_pass() -> None:
    """Of many that are ready at once, four go on per pass of the loop, in the order in which they came."""
    passes: list[list[int]] = [[]]

    async def one(pacer: Pacer, number: int) -> None:
        await pacer.turn()
        passes[-1].append(number)

    async def count(tasks: list[asyncio.Task[None]]) -> None:
        while not all(task.done() for task in tasks):
            passes.append([])
            await asyncio.sleep(0)

    async def work() -> None:
        pacer = Pacer()
        tasks = [asyncio.create_task(one(pacer, number)) for number in range(20)]
        await count(tasks)

    asyncio.run(work())
    assert [number for found in passes for number in found] == list(range(20))
    assert max(map(len, passes)) == 4


def test_whoever_gives_up_holds_up_nobody() -> None:
    """A turn that is waited for by somebody cancelled goes to the next."""

    async def work() -> None:
        pacer = Pacer(1)
        await pacer.turn()
        waiting = [asyncio.create_task(pacer.turn()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        async with asyncio.timeout(2):
            await asyncio.gather(*waiting[1:])

    asyncio.run(work())
