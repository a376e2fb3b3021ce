"""A line to the standard streams of a container, opened before it is started so that nothing is missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.engine_place import EnginePlace
    from harness.hosts.engine import Engine

OUTPUT = 1
"""What the engine calls standard output; standard error is 2."""
_ATTACH_WITHIN = 30.0
_STREAMS = "stdin=1&stdout=1&stderr=1&stream=1"


class Attachment:
    """What a container prints, in chunks, and what it is to read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, engine: Engine, container: str) -> Attachment:
        """Attach to a container that is not running yet.

        Not by the SDK: what it returns is another kind of thing for each way to an engine.
        """
        try:
            async with asyncio.timeout(_ATTACH_WITHIN):
                reader, writer = await _connection(engine.place)
                writer.write(
                    f"POST /containers/{container}/attach?{_STREAMS} HTTP/1.1\r\nHost: engine\r\n"
                    "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
                )
                head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, EOFError, TimeoutError) as error:
            msg = f"the container engine at {engine.url} does not attach to a container: {error}"
            raise EnvironmentFailure(msg) from error
        status = head.split(b" ", 2)[1:2]
        if status not in ([b"101"], [b"200"]):
            writer.close()
            msg = f"the container engine refused to attach: {head.splitlines()[0].decode(errors='replace')}"
            raise EnvironmentFailure(msg)
        return cls(reader, writer)

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


async def _connection(place: EnginePlace) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if place.is_here:
        return await asyncio.open_unix_connection(place.socket_path)
    return await asyncio.open_connection(*place.address, ssl=place.tls())
