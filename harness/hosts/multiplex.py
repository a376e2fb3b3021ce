"""Many connections over one line of bytes: what harness and relay speak. Standard library only: both have it.

A frame is a header (connection, kind, length) and that many bytes. Each direction of a connection has a
window: who reads slowly is waited for, and holds nobody else up.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = struct.Struct("!IBI")
NUMBER = struct.Struct("!I")
HELLO, OPEN, OPENED, REFUSED, DATA, READ, END, BREAK = range(8)
"""Kinds: I am here; connect to `address:port`; done; not, with an errno's name; bytes; so many were read; no
more bytes from me; over, at once."""
WINDOW = 1 << 18
CHUNK = 1 << 16


class Stream:
    """One connection, as seen from one end of the line."""

    def __init__(self, line: Multiplex, number: int) -> None:
        self._line = line
        self.number = number
        self._chunks: deque[bytes] = deque()
        self._credit = WINDOW
        self._ended = False
        self._news = asyncio.Event()
        self.broken = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        """The next bytes, none at the end; ConnectionResetError when it was broken off."""
        while not (self._chunks or self._ended or self.broken):
            await self._more()
        if self._chunks:
            data = self._chunks.popleft()
            self._line.say(self.number, READ, NUMBER.pack(len(data)))
            return data
        if not self._ended:
            raise _broken_off()
        return b""

    async def write(self, data: bytes) -> None:
        """Send bytes, as fast as the other end reads; ConnectionResetError when it was broken off."""
        while data:
            while not (self._credit or self.broken):
                await self._more()
            if self.broken:
                raise _broken_off()
            part, data = data[: self._credit], data[self._credit :]
            self._credit -= len(part)
            self._line.say(self.number, DATA, part)

    def end(self) -> None:
        """Say that there is nothing more to come from here."""
        self._line.say(self.number, END)

    def drop(self) -> None:
        """Break it off, unless that was done before."""
        if not self.broken:
            self._line.say(self.number, BREAK)
        self.hear(BREAK, b"")

    def hear(self, kind: int, data: bytes) -> None:
        """Take in a frame."""
        if kind == DATA:
            self._chunks.append(data)
        elif kind == READ:
            self._credit += NUMBER.unpack(data)[0]
        elif kind == END:
            self._ended = True
        elif kind == OPENED and not self.opened.done():
            self.opened.set_result(None)
        elif kind in {REFUSED, BREAK}:
            self.broken = True
            self._line.forget(self.number)
            if not self.opened.done():
                self.opened.set_exception(_as_here(data.decode()) if kind == REFUSED else _broken_off())
                self.opened.exception()  # it need not be asked for
        self._news.set()

    async def _more(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass everything on between this and a connection, to the end of both; then both are closed."""

        async def out() -> None:
            while data := await reader.read(CHUNK):
                await self.write(data)
            self.end()

        async def back() -> None:
            while data := await self.read():
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        ways = [asyncio.ensure_future(way()) for way in (out, back)]
        try:
            await asyncio.gather(*ways)
        except OSError:
            reset(writer)
        finally:
            for way in ways:
                way.cancel()
            self.drop()
            writer.close()


class Multiplex:
    """One end of a line. `write` sends bytes to the other; `accept` is handed what the other end opens."""

    def __init__(
        self, write: Callable[[bytes], object], accept: Callable[[Stream, str, int], None] | None = None
    ) -> None:
        self._write = write
        self._accept = accept
        self._numbers = itertools.count(1)
        self._streams: dict[int, Stream] = {}
        self._said = b""
        self.greeted = asyncio.Event()

    def say(self, number: int, kind: int, data: bytes = b"") -> None:
        """Send a frame."""
        self._write(HEADER.pack(number, kind, len(data)) + data)

    async def open(self, address: str, port: int) -> Stream:
        """Have the other end connect; OSError as if it had been tried here."""
        number = next(self._numbers)
        stream = self._streams[number] = Stream(self, number)
        self.say(number, OPEN, f"{address}:{port}".encode())
        try:
            await stream.opened
        except asyncio.CancelledError:
            stream.drop()
            raise
        return stream

    def feed(self, data: bytes) -> None:
        """Take in what has come over the line."""
        said, at = self._said + data, 0
        while len(said) - at >= HEADER.size:
            number, kind, length = HEADER.unpack_from(said, at)
            begin, end = at + HEADER.size, at + HEADER.size + length
            if len(said) < end:
                break
            self._hear(number, kind, said[begin:end])
            at = end
        self._said = said[at:]

    def _hear(self, number: int, kind: int, data: bytes) -> None:
        if kind == HELLO:
            self.greeted.set()
        elif kind == OPEN and self._accept is not None:
            address, _, port = data.decode().rpartition(":")
            stream = self._streams[number] = Stream(self, number)
            self._accept(stream, address, int(port))
        elif number in self._streams:
            self._streams[number].hear(kind, data)

    def forget(self, number: int) -> None:
        """A connection is over."""
        self._streams.pop(number, None)

    def close(self) -> None:
        """The line is over, and all connections with it."""
        for stream in list(self._streams.values()):
            stream.hear(BREAK, b"")


def refused(error: OSError) -> bytes:
    """What goes with REFUSED; numbers differ from system to system."""
    return errno.errorcode.get(error.errno or errno.ETIMEDOUT, "EIO").encode()


def _as_here(name: str) -> OSError:
    number = getattr(errno, name, errno.EIO)
    return OSError(number, os.strerror(number))


def _broken_off() -> OSError:
    return OSError(errno.ECONNRESET, "the connection was broken off")


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees it broken, not ended."""
    line = writer.get_extra_info("socket")
    if line is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
