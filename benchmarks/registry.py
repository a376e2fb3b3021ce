"""How fast and how small the registry is, beside a server as the original was.

Server and client are each bound to one core. Figures are medians of alternating runs; what counts are the
ratios inside one run. The yardstick is `registry_original.py`.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

ADDRESS = "127.77.2.2"
SERVER_CORE, CLIENT_CORE = 0, 1
TICK = os.sysconf("SC_CLK_TCK")
ORIGINAL = [sys.executable, str(Path(__file__).with_name("registry_original.py"))]
OURS = [sys.executable, "-m", "system", "registry", "--log-level", "warning", "--health-interval", "0"]


@dataclass(frozen=True)
class Server:
    """A server under measurement."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(command: list[str]) -> Iterator[Server]:
    """A server on a core of its own."""
    process = subprocess.Popen(
        [*command, "--host", ADDRESS, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),  # noqa: PLW1509 - no threads yet
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield Server(int(url.rpartition(":")[2]), process.pid)
    finally:
        process.terminate()
        process.wait(20)


class Asking(asyncio.Protocol):
    """One keep-alive connection that asks the next question as soon as it has an answer."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Future[None]) -> None:
        self._requests = requests
        self._ended = ended
        self._started = 0.0
        self._buffer = b""
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            self.latencies.append(time.perf_counter() - self._started)
            self._buffer = b""
            self._ask()

    def _ask(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self._ended.set_result(None)
            return
        self._started = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0])


async def ask(port: int, requests: Iterator[bytes], connections: int) -> list[float]:
    """Ask everything over so many connections; returns how long each answer took."""
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    made = [
        (await loop.create_connection(lambda end=end: Asking(requests, end), ADDRESS, port))[1]  # type: ignore[misc]
        for end in ends
    ]
    await asyncio.gather(*ends)
    return [latency for asking in made for latency in asking.latencies]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, document: dict[str, Any]) -> bytes:
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def replica(number: int) -> dict[str, Any]:
    capability = {"model": "qwen2", "type": "chat", "zone": f"z{number % 7}", "id": f"r{number}"}
    return {"replica_id": f"r{number}", "endpoint": f"10.0.0.1:{1000 + number}", "capabilities": [capability]}


class Connected(asyncio.Protocol):
    """One registered replica."""

    def __init__(self, number: int) -> None:
        self._request = post("/register", replica(number))
        self.registered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if b"alive" in data and not self.registered.done():
            self.registered.set_result(None)


async def connect(port: int, numbers: range, at_once: int = 200) -> list[Connected]:
    """Register replicas and stay connected."""
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(at_once)

    async def one(number: int) -> Connected:
        async with turns:
            _, made = await loop.create_connection(lambda: Connected(number), ADDRESS, port)
            await made.registered
            return made

    return list(await asyncio.gather(*map(one, numbers)))


def until(seconds: float, request: bytes) -> Iterator[bytes]:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield request


async def routes(server: Server, replicas: int, seconds: float) -> dict[str, float]:
    """`GET /route` with two conditions that all replicas meet, 16 connections."""
    held = await connect(server.port, range(replicas))
    question = get("/route?model=qwen2&type=chat")
    await ask(server.port, until(0.3, question), 16)
    cpu, started = server.cpu_seconds(), time.perf_counter()
    latencies = await ask(server.port, until(seconds, question), 16)
    took, used = time.perf_counter() - started, server.cpu_seconds() - cpu
    for one in held:
        one.transport.abort()
    return {
        "requests_per_second": len(latencies) / took,
        "cpu_seconds_per_1000": 1000 * used / len(latencies),
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * percentile(latencies, 0.99),
    }


async def connections(server: Server, replicas: int) -> dict[str, float]:
    """Memory per connected replica, and how fast they register."""
    for one in await connect(server.port, range(100)):
        one.transport.abort()
    before, started = server.resident(), time.perf_counter()
    held = await connect(server.port, range(replicas))
    took = time.perf_counter() - started
    await asyncio.sleep(1)
    each = (server.resident() - before) / replicas
    for one in held:
        one.transport.abort()
    return {"bytes_per_connection": each, "registrations_per_second": replicas / took}


async def removal(server: Server, replicas: int, closures: int) -> dict[str, float]:
    """From a closed connection to "not routable", with 1,000 questions a second beside it."""
    held = await connect(server.port, range(replicas))
    stop = asyncio.Event()
    beside = asyncio.create_task(_steadily(server.port, stop))
    latencies = []
    for number in range(closures):
        reader, writer = await asyncio.open_connection(ADDRESS, server.port)
        held[number].transport.abort()
        closed = time.perf_counter()
        question = get(f"/route?id=r{number}")
        while True:
            writer.write(question)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            if b" 404 " in head:
                break
        latencies.append(time.perf_counter() - closed)
        writer.close()
    stop.set()
    asked = await beside
    for one in held:
        one.transport.abort()
    return {
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * percentile(latencies, 0.99),
        "questions_per_second_beside": asked,
    }


async def _steadily(port: int, stop: asyncio.Event, rate: int = 1_000) -> float:
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    question, asked, started = get("/route?model=qwen2&type=chat"), 0, time.perf_counter()
    while not stop.is_set():
        due = int((time.perf_counter() - started) * rate) - asked
        for _ in range(due):
            writer.write(question)
            await reader.readexactly(_length(await reader.readuntil(b"\r\n\r\n")))
        asked += due
        await asyncio.sleep(0.001)
    writer.close()
    return asked / (time.perf_counter() - started)


async def watches(server: Server, watchers: int, changes: int) -> dict[str, float]:
    """From the request that changes something to each watcher's having read it."""
    seen: asyncio.Queue[float] = asyncio.Queue()
    watching = [asyncio.create_task(_watch(server.port, seen)) for _ in range(watchers)]
    for _ in range(watchers):
        await seen.get()
    reader, writer = await asyncio.open_connection(ADDRESS, server.port)
    latencies = []
    for number in range(changes):
        service = {
            "name": "w",
            "host": "h",
            "port": 1 + number,
            "hostname": "h",
            "url": "u",
            "status": "running",
        }
        started = time.perf_counter()
        writer.write(post("/services", service))
        latencies += [await seen.get() - started for _ in range(watchers)]
        await reader.readexactly(_length(await reader.readuntil(b"\r\n\r\n")))
    for task in watching:
        task.cancel()
    writer.close()
    return {"p50_ms": 1000 * statistics.median(latencies), "p99_ms": 1000 * percentile(latencies, 0.99)}


async def _watch(port: int, seen: asyncio.Queue[float]) -> None:
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    try:
        writer.write(get("/watch"))
        while line := await reader.readline():
            if line.startswith((b"event: put", b"event: snapshot")):
                seen.put_nowait(time.perf_counter())
    finally:
        writer.close()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(command: list[str], what: "Measurement") -> dict[str, float]:
    """One measurement of one fresh server."""
    import uvloop

    with serving(command) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(what(server))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


Measurement = Callable[[Server], Coroutine[Any, Any, dict[str, float]]]


def plan(many: int, seconds: float) -> list[tuple[str, list[str], Measurement]]:
    """What is measured, of which server, in the order of one round."""
    few = many // 5
    return [
        ("route, 10 replicas", OURS, lambda server: routes(server, 10, seconds)),
        ("route, 10 replicas, original", ORIGINAL, lambda server: routes(server, 10, seconds)),
        ("route, 1000 replicas", OURS, lambda server: routes(server, 1_000, seconds)),
        ("route, 1000 replicas, original", ORIGINAL, lambda server: routes(server, 1_000, seconds)),
        (f"route, {many} replicas", OURS, lambda server: routes(server, many, seconds)),
        (f"{many} connections", OURS, lambda server: connections(server, many)),
        (f"{few} connections, original", ORIGINAL, lambda server: connections(server, few)),
        ("removal, 1000 connected", OURS, lambda server: removal(server, 1_000, 200)),
        ("change to 100 watchers", OURS, lambda server: watches(server, 100, 100)),
    ]


def compare(*, quick: bool) -> dict[str, dict[str, float]]:
    """Everything, by turns, as often as it takes for a median."""
    rounds, seconds, many = (1, 1.0, 2_000) if quick else (3, 4.0, 10_000)
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, command, what in plan(many, seconds):
            runs.setdefault(name, []).append(measure(command, what))
            print(f"{name:32}", shown(runs[name][-1]), file=sys.stderr, flush=True)
    return {name: medians(found) for name, found in runs.items()}


def shown(figures: dict[str, float]) -> str:
    return "  ".join(f"{key} {value:,.3f}" for key, value in figures.items())


async def shared(servers: list[Server], registrations: int) -> dict[str, float]:
    """From the request that registers at one process to its being routable through the other."""
    reader, writer = await asyncio.open_connection(ADDRESS, servers[1].port)
    latencies = []
    held = []
    for number in range(registrations):
        started = time.perf_counter()
        held += await connect(servers[0].port, range(number, number + 1))
        question = get(f"/route?id=r{number}")
        while True:
            writer.write(question)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            if b" 200 " in head:
                break
        latencies.append(time.perf_counter() - started)
    writer.close()
    for one in held:
        one.transport.abort()
    return {"p50_ms": 1000 * statistics.median(latencies), "p99_ms": 1000 * percentile(latencies, 0.99)}


def through_redis() -> dict[str, float]:
    """Two processes and a Redis."""
    import uvloop

    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", ADDRESS, "--save", "", "--dir", "/tmp"]  # noqa: S108
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    ours = [*OURS, "--store", f"redis://{ADDRESS}:{port}"]
    try:
        with serving(ours) as one, serving(ours) as other:
            time.sleep(3)  # until both have found it
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(shared([one, other], 500))
    finally:
        redis.terminate()
        redis.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {CLIENT_CORE})
    result = compare(quick=options.quick)
    if shutil.which("redis-server"):
        result["redis, registered to routable"] = through_redis()
    for name, figures in result.items():
        print(f"{name:32}", shown(figures))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
