"""The harness's own way to hosts whose addresses it cannot reach: a container on their network connects.

Connections go over the relay's standard streams, which the engine's API carries; so this works wherever the
API does, nothing is published, and nobody else can use it. Faults leave the relay's address alone, and no
host can reach another one through it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

from harness.errors import EnvironmentFailure
from harness.hosts import agents, multiplex, relay_agent
from harness.hosts.attachment import OUTPUT, Attachment
from harness.hosts.multiplex import Multiplex, reset
from harness.hosts.sandbox import IMAGE, place_in

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from harness.hosts.engine import Engine
    from harness.hosts.multiplex import Stream

LOST = "the relay through which muster reaches the hosts has ended"
_HELLO_WITHIN = 20.0
LOOPBACK = "127.0.0.1"


class Relay:
    """A relay that answers; `Detour` has asyncio's connections to its network go through it."""

    def __init__(self, engine: Engine, container: str, line: Attachment, lost: Callable[[], None]) -> None:
        self.container = container
        self._engine = engine
        self._attachment = line
        self._lost = lost
        self._line = Multiplex(line.write)
        self._errors = b""
        self._reading = asyncio.create_task(self._read(), name="relay")
        self._ways: dict[tuple[str, int], socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._passing: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls,
        engine: Engine,
        *,
        name: str,
        network: str,
        address: str,
        labels: Mapping[str, str],
        lost: Callable[[], None],
    ) -> Relay:
        """Create and start it; `lost` is called when it ends before it is closed."""
        from docker.types import LogConfig

        api = engine.api
        # No log: its output is what connections carry, and the engine would write all of it to its disk.
        made = await engine.call(
            api.create_container,
            IMAGE,
            list(agents.COMMAND),
            environment=agents.environment(multiplex, relay_agent),
            name=name,
            labels=dict(labels),
            stdin_open=True,
            networking_config=place_in(api, network, address, "muster-relay"),
            host_config=api.create_host_config(network_mode=network, log_config=LogConfig(type="none")),
        )
        relay = cls(engine, made["Id"], await Attachment.open(engine, made["Id"]), lost)
        try:
            await engine.call(api.start, relay.container)
            await relay._greeted()
        except BaseException:
            await relay.close()
            raise
        return relay

    async def _greeted(self) -> None:
        hello = asyncio.create_task(self._line.greeted.wait())
        await asyncio.wait([hello, self._reading], timeout=_HELLO_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not self._line.greeted.is_set():
            hello.cancel()
            why = self._errors.decode(errors="replace").strip().rpartition("\n")[2] or "it said nothing"
            msg = f"the relay to the hosts did not start: {why}"
            raise EnvironmentFailure(msg)

    async def _read(self) -> None:
        async for stream, chunk in self._attachment.chunks():
            if stream == OUTPUT:
                self._line.feed(chunk)
            else:
                self._errors = (self._errors + chunk)[-2000:]
        self._line.close()
        if self._line.greeted.is_set():
            self._lost()

    async def dial(self, address: str, port: int) -> Stream:
        """A connection to a port of a host; OSError as if it had been made from here."""
        if self._reading.done():
            raise ConnectionAbortedError(LOST)
        return await self._line.open(address, port)

    def way_to(self, address: str, port: int) -> tuple[str, int]:
        """Where programs of this machine reach a port of a host, whatever they are made with. For any thread.

        There a connection is always accepted, and broken off when the host does not accept it.
        """
        way = self._ways.get((address, port))
        if way is None:
            way = self._ways[address, port] = socket.create_server((LOOPBACK, 0))
            self._loop.call_soon_threadsafe(self._serve, way, address, port)
        host, near = way.getsockname()
        return host, near

    def _serve(self, way: socket.socket, address: str, port: int) -> None:
        async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                stream = await self.dial(address, port)
            except OSError:
                reset(writer)
            else:
                await stream.join(reader, writer)

        async def serve() -> None:
            async with await asyncio.start_server(passed_on, sock=way) as server:
                await server.serve_forever()

        self._in_background(serve())

    def pass_on(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection from here with one from there, in the background."""
        self._in_background(stream.join(reader, writer))

    def _in_background(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def close(self) -> None:
        """Hang up; the container is removed by whoever removes the deployment's."""
        tasks = [self._reading, *self._passing]
        for task in tasks:
            task.cancel()
        self._line.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._attachment.close()


class Detour:
    """Has all that asyncio connects in this loop to addresses of some networks go through their relays.

    HTTP clients, load and whatever else a check or a load is made with open connections by the loop's
    `sock_connect`: the one place where a refusal can still be told as one. Leaving ends it.
    """

    _of_loops: ClassVar[MutableMapping[asyncio.AbstractEventLoop, _Routes]] = WeakKeyDictionary()

    def __init__(self, relay: Relay, block: str) -> None:
        self._relay = relay
        self._block = block
        self._loop = asyncio.get_running_loop()

    async def begin(self) -> None:
        """From now on."""
        routes = self._of_loops.get(self._loop)
        if routes is None:
            routes = self._of_loops[self._loop] = _Routes(self._loop)
            await routes.begin()
        routes.relays[self._block] = self._relay

    @classmethod
    def relay_to(cls, address: str) -> Relay | None:
        """The relay that connections from this loop to an address go through, if any does."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        routes = cls._of_loops.get(loop)
        return routes.relay_to(address) if routes else None

    def end(self) -> None:
        """Not any more."""
        routes = self._of_loops[self._loop]
        routes.relays.pop(self._block, None)
        if not routes.relays:
            del self._of_loops[self._loop]
            routes.end()


def near(endpoint: str) -> str:
    """Where what does not connect by asyncio (gRPC) has to, from this loop, to reach `host:port`."""
    address, _, port = endpoint.rpartition(":")
    relay = Detour.relay_to(address)
    return ":".join(map(str, relay.way_to(address, int(port)))) if relay and port.isdigit() else endpoint


def near_url(url: str) -> str:
    """The URL at which other programs of this machine reach what is at that URL for the hosts."""
    where = urlsplit(url)
    if not (where.hostname and where.port and Detour.relay_to(where.hostname)):
        return url
    return urlunsplit(where._replace(netloc=near(f"{where.hostname}:{where.port}")))


class _Routes:
    """The relays of a loop, by the first three numbers of their network."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.relays: dict[str, Relay] = {}
        self._loop = loop
        self._connect = loop.sock_connect
        self._expected: dict[int, tuple[Relay, Stream]] = {}
        self._server: asyncio.Server | None = None

    async def begin(self) -> None:
        """A port of our own, to which connections are diverted once the relay has made them."""
        self._server = await asyncio.start_server(self._arrived, LOOPBACK, 0)
        self._loop.sock_connect = self._divert  # type: ignore[method-assign]

    def end(self) -> None:
        """As it was before."""
        self._loop.sock_connect = self._connect  # type: ignore[method-assign]
        if self._server is not None:
            self._server.close()

    async def _divert(self, sock: socket.socket, address: Any) -> None:
        relay = self.relay_to(address[0]) if isinstance(address, tuple) else None
        if relay is None or self._server is None:
            await self._connect(sock, address)
            return
        stream = await relay.dial(address[0], address[1])
        if not sock.getsockname()[1]:
            sock.bind((LOOPBACK, 0))
        self._expected[sock.getsockname()[1]] = relay, stream
        try:
            await self._connect(sock, self._server.sockets[0].getsockname())
        except BaseException:
            self._expected.pop(sock.getsockname()[1], None)
            stream.drop()
            raise

    def relay_to(self, address: Any) -> Relay | None:
        """The relay to an address."""
        return self.relays.get(str(address).rpartition(".")[0])

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        expected = self._expected.pop(writer.get_extra_info("peername")[1], None)
        if expected is None:
            reset(writer)  # a stranger
            return
        relay, stream = expected
        relay.pass_on(stream, reader, writer)
