"""A line to the standard streams of a container, opened before it is started so that nothing is missed."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.hosts.engine import Engine

OUTPUT = 1
"""What the engine calls standard output; standard error is 2."""


class Attachment:
    """What a container prints, in chunks, and what it is to read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, engine: Engine, container: str) -> Attachment:
        """Attach to a container that is not running yet."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = await engine.call(engine.api.attach_socket, container, params=params)
        line = socket.socket(fileno=os.dup(attached.fileno()))
        # The SDK's own socket objects would be closed by chance, when they are collected.
        attached._sock.close()  # noqa: SLF001
        attached.close()
        return cls(*await asyncio.open_connection(sock=line))

    async def chunks(self) -> AsyncIterator[tuple[int, bytes]]:
        """Each chunk as it comes, with the stream it was printed to, until the container ends."""
        try:
            while True:
                header = await self._reader.readexactly(8)
                yield header[0], await self._reader.readexactly(int.from_bytes(header[4:], "big"))
        except (asyncio.IncompleteReadError, OSError):
            return

    def write(self, data: bytes) -> None:
        """Give it something to read."""
        self._writer.write(data)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
