"""The program of the relay: it connects where the harness asks it to, from inside the deployment's network.

It listens nowhere and passes nothing on between hosts: whoever wants a connection has to hold its standard
input, which only the harness does. Standard library only.
"""

from __future__ import annotations

import asyncio
import sys

from harness.hosts.multiplex import CHUNK, HELLO, OPENED, REFUSED, Multiplex, Stream, refused

_CONNECT_WITHIN = 20.0


async def serve() -> None:
    """Connect and pass on until the harness hangs up."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(CHUNK)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    output, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    running: set[asyncio.Task[None]] = set()

    def accept(stream: Stream, address: str, port: int) -> None:
        task = asyncio.create_task(_connect(line, stream, address, port))
        running.add(task)
        task.add_done_callback(running.discard)

    line = Multiplex(output.write, accept)
    line.say(0, HELLO)
    while data := await reader.read(CHUNK):
        line.feed(data)


async def _connect(line: Multiplex, stream: Stream, address: str, port: int) -> None:
    try:
        async with asyncio.timeout(_CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:  # a TimeoutError is one
        line.say(stream.number, REFUSED, refused(error))
        line.forget(stream.number)
        return
    if stream.broken:
        writer.close()
        return
    line.say(stream.number, OPENED)
    await stream.join(reader, writer)


def main() -> None:
    """Run until nobody is there to ask for anything."""
    asyncio.run(serve())
