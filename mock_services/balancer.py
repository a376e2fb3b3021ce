"""`python -m mock_services balancer`: a stand-in for a load balancer, which knows connections only.

Each connection goes to the next target; one that does not accept is passed over. What was sent to a target is
never sent to another, so a target that drops what it has accepted is seen to do so.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Annotated
from urllib.parse import urlsplit

from system.component import ComponentConfig, Program, Serving
from system.config_values import Duration, Port
from system.listening import listen, url_of

CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerConfig(ComponentConfig):
    """Where it listens, and whom it knows."""

    port: Annotated[Port, "the port to listen on"] = 8080
    targets: Annotated[tuple[str, ...], "URLs of those it passes connections to"] = ()
    connect_within: Annotated[Duration, "how long a target may take to accept"] = 1.0
    drain: Annotated[Duration, "how long open connections may take after SIGTERM"] = 2.0


class Balancer:
    """Takes turns between its targets, by connection."""

    def __init__(self, config: BalancerConfig) -> None:
        self.config = config
        self.turns = count()
        self.open: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, to its end."""
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            await self._pass_on(reader, writer)
        finally:
            self.open.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await self._connect()
        if found is None:
            print("no target accepts", flush=True)
            return
        there, back = found
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            back.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first, targets = next(self.turns), self.config.targets
        for number in range(len(targets)):
            target = urlsplit(targets[(first + number) % len(targets)])
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(self.config.connect_within):
                    return await asyncio.open_connection(target.hostname, target.port)
        return None


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, and its end; a side that breaks off ends both."""
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.transport.abort()


@asynccontextmanager
async def serve(config: BalancerConfig) -> AsyncIterator[Serving]:
    balancer = Balancer(config)
    listener = listen(config.host, config.port)
    server = await asyncio.start_server(balancer.take, sock=listener)
    async with server:
        yield Serving(url=url_of(listener))
        server.close()
        if balancer.open:
            await asyncio.wait(balancer.open, timeout=config.drain)
        for task in balancer.open:
            task.cancel()


PROGRAM = Program(
    name="balancer",
    about="A stand-in for a load balancer: passes each connection to the next target that accepts it.",
    config=BalancerConfig,
    serve=serve,
)
