"""Many connections over one line: order, windows, refusals, ends."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from harness.hosts.multiplex import HEADER, OPENED, REFUSED, WINDOW, Multiplex, Stream, refused

Far = Callable[[Stream, str, int], Awaitable[None]]


def two_ends(far: Far) -> tuple[Multiplex, Multiplex, set[asyncio.Task[None]]]:
    """A near end whose connections are accepted by `far`; bytes arrive torn into pieces of seven."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def torn(data: bytes, to: Callable[[], Multiplex]) -> None:
        for at in range(0, len(data), 7 if len(data) < 1000 else 9999):
            loop.call_soon(lambda piece: to().feed(piece), data[at : at + (7 if len(data) < 1000 else 9999)])

    async def accepted(stream: Stream, address: str, port: int) -> None:
        other.say(stream.number, OPENED)
        await far(stream, address, port)

    def accept(stream: Stream, address: str, port: int) -> None:
        task = asyncio.create_task(accepted(stream, address, port))
        tasks.add(task)

    near = Multiplex(lambda data: torn(data, lambda: other))
    other = Multiplex(lambda data: torn(data, lambda: near), accept)
    return near, other, tasks


async def echo(stream: Stream, address: str, port: int) -> None:
    stream_said = f"{address}:{port}:".encode()
    await stream.write(stream_said)
    with suppress(OSError):
        while data := await stream.read():
            await stream.write(data)
    stream.end()


async def read_all(stream: Stream) -> bytes:
    found = b""
    while data := await stream.read():
        found += data
    return found


def test_connections_do_not_mix() -> None:
    """What is sent on many connections at once comes back on the right ones, in order and whole."""

    async def one(near: Multiplex, number: int) -> bool:
        stream = await near.open("198.18.0.10", number)
        data = bytes([number]) * (3 * WINDOW + number)
        sending = asyncio.create_task(stream.write(data))
        sending.add_done_callback(lambda _: stream.end())
        return await read_all(stream) == f"198.18.0.10:{number}:".encode() + data

    async def main() -> list[bool]:
        near, _, _ = two_ends(echo)
        async with asyncio.timeout(20):
            return await asyncio.gather(*(one(near, number) for number in range(1, 6)))

    assert asyncio.run(main()) == [True] * 5


def test_who_reads_slowly_holds_up_nobody_else() -> None:
    """A writer waits for its reader after a window's worth of bytes; other connections go on."""

    async def far(stream: Stream, address: str, port: int) -> None:
        if port == 1:
            await asyncio.Event().wait()
        await echo(stream, address, port)

    async def main() -> None:
        near, _, tasks = two_ends(far)
        stuck = await near.open("a", 1)
        writing = asyncio.create_task(stuck.write(b"x" * (WINDOW + 1)))
        other = await near.open("a", 2)
        await other.write(b"hello")
        other.end()
        assert await read_all(other) == b"a:2:hello"
        assert not writing.done()
        near.close()
        with pytest.raises(ConnectionResetError):
            await writing
        for task in tasks:
            task.cancel()

    asyncio.run(main())


def test_a_refusal_is_told_as_if_it_had_happened_here() -> None:
    """The error's class is the one that connecting would have raised, going by its name."""

    async def main() -> None:
        def answer(data: bytes) -> None:
            number, _, _ = HEADER.unpack_from(data)
            why = refused(ConnectionRefusedError(errno.ECONNREFUSED, ""))
            asyncio.get_running_loop().call_soon(near.feed, HEADER.pack(number, REFUSED, len(why)) + why)

        near = Multiplex(answer)
        with pytest.raises(ConnectionRefusedError, match="Connection refused"):
            await near.open("a", 1)

    asyncio.run(main())


def test_what_was_sent_before_the_end_is_read() -> None:
    """An end, and a break after it, come after the bytes before them; a break alone is an error."""

    async def far(stream: Stream, address: str, port: int) -> None:
        await stream.write(b"last words")
        if port == 1:
            stream.end()
        stream.drop()

    async def main() -> None:
        near, _, _ = two_ends(far)
        assert await read_all(await near.open("a", 1)) == b"last words"
        broken = await near.open("a", 2)
        assert await broken.read() == b"last words"
        with pytest.raises(ConnectionResetError):
            await broken.read()

    asyncio.run(main())
