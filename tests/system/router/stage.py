"""What the router's tests play with: a backend that follows a script, a router in this process, a raw client."""

import asyncio
import contextlib
import inspect
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from system.router.program import serve
from system.router.settings import RouterConfig

ADDRESS = "127.77.3.1"
T = TypeVar("T")


_started: list["FakeBackend"] = []  # a scene that fails may leave some, and uvloop waits for their servers


def play(scene: Coroutine[Any, Any, T]) -> T:
    """Run a scene on the loop the program runs on; one that hangs fails."""

    async def bounded() -> T:
        try:
            async with asyncio.timeout(20):
                return await scene
        finally:
            for backend in _started:
                await backend.stop()
            _started.clear()

    return uvloop.run(bounded())


async def until(condition: Callable[[], object], within: float = 5.0) -> None:
    """Wait for a condition, plain or to be awaited, that something else makes true."""
    async with asyncio.timeout(within):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.002)


@dataclass
class Call:
    """A request as a backend got it, and the connection to answer on."""

    head: bytes
    body: bytes
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Script = Callable[["FakeBackend", Call], Awaitable[None]]


async def answers(backend: "FakeBackend", call: Call) -> None:
    await call.send(whole(json.dumps({"served_by": backend.name}).encode()))


def whole(body: bytes, status: str = "200 OK", more: bytes = b"") -> bytes:
    """A response with a length."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + more + b"\r\n" + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class FakeBackend:
    """Speaks just enough HTTP, and follows its script."""

    name: str
    script: Script = answers
    models: tuple[str, ...] = ("m",)
    healthy: bool = True
    silent: bool = False
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    left: int = 0
    port: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> "FakeBackend":
        self._server = await asyncio.start_server(self._accept, ADDRESS, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        _started.append(self)
        return self

    async def stop(self) -> None:
        """As kill -9 would: nothing listens, every connection is reset."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def entry(self) -> dict[str, Any]:
        metadata = {"type": "openai-api", "models": list(self.models), **self.metadata}
        return {"name": self.name, "host": ADDRESS, "port": self.port, "metadata": metadata}

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            self.left += 1
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        call = Call(head, b"", writer, reader)
        call.body = await reader.readexactly(int(call.header("content-length") or 0))
        while self.silent:  # noqa: ASYNC110 - frozen: the kernel took the request, nobody answers yet
            await asyncio.sleep(0.005)
        if head.startswith(b"GET /health"):
            await call.send(whole(b"{}", "200 OK" if self.healthy else "503 No"))
            return
        self.calls.append(call)
        await self.script(self, call)


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stage:
    """A running router."""

    port: int
    url: str
    clients: list["Client"] = field(default_factory=list)

    async def connect(self) -> "Client":
        reader, writer = await asyncio.open_connection(ADDRESS, self.port)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request on a connection of its own."""
        client = await self.connect()
        try:
            await client.send(request(method, path, body, **headers))
            return await client.answer()
        finally:
            client.close()

    async def chat(self, model: str = "m", **headers: str) -> Answer:
        body = json.dumps({"model": model, "messages": []}).encode()
        return await self.ask("POST", "/v1/chat/completions", body, **headers)

    async def services(self) -> dict[str, Any]:
        return {one["name"]: one for one in (await self.ask("GET", "/services")).json["services"]}


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Client:
    """A client that can misbehave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.rstrip().split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value for name, _, value in pairs}

    async def chunk(self) -> bytes:
        size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def answer(self) -> Answer:
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while part := await self.chunk():
                parts.append(part)
            return Answer(status, headers, b"".join(parts))
        if "content-length" not in headers:
            return Answer(status, headers, await self.reader.read())
        return Answer(status, headers, await self.reader.readexactly(int(headers["content-length"])))

    async def closed(self) -> bool:
        """Whether the router closes the connection, now or soon."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def router(
    tmp_path: Path, *backends: FakeBackend, start: bool = True, **config: Any
) -> AsyncIterator[Stage]:
    """A router over backends given in a static services file."""
    if start:
        for backend in backends:
            await backend.start()
    static = tmp_path / "static.json"
    static.write_text(json.dumps([backend.entry for backend in backends]))
    settings: dict[str, Any] = {"host": ADDRESS, "port": 0, "drain": 1.0, "static_services": static, **config}
    try:
        async with serve(RouterConfig(**settings)) as serving:
            stage = Stage(int(serving.url.rpartition(":")[2]), serving.url)
            try:
                yield stage
            finally:
                for client in stage.clients:
                    client.close()
    finally:
        for backend in backends:
            with contextlib.suppress(AssertionError):
                await backend.stop()


def free_port() -> int:
    """A port of the tests' address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
    return port
