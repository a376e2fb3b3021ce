"""The router while something happens: a backend that is killed and started again, many streams at once."""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.router_peers import (
    BACKENDS,
    BODY,
    FROM_REGISTRY,
    HOST,
    MODEL,
    PROGRAM,
    REGISTRY,
    REGISTRY_PORT,
    answers,
    ask,
    listening,
    ours,
    running,
    service,
)

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


MOCK = [sys.executable, "-m", "mock_services", "openai", "--host", HOST, "--models", MODEL, "--port"]
VICTIM = "victim"


@dataclass(frozen=True, slots=True)
class Result:
    """One request: when it began, how it ended, how long it took, who answered."""

    at: float
    status: int
    seconds: float
    backend: str


async def _request(port: int, body: bytes) -> Result:
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        status = int(answer[9:12] or 0)
    except (OSError, ValueError):
        status, answer = 0, b""
    named = re.search(rb"x-muster-backend: (\S+)", answer)
    return Result(began, status, time.perf_counter() - began, named[1].decode() if named else "")


def crash(args: argparse.Namespace) -> None:
    """500 requests a second; after a third of the time one backend is killed, after two thirds it is back."""
    with ExitStack() as stack:
        stack.enter_context(listening(REGISTRY))
        stack.enter_context(running([*MOCK, str(BACKENDS[0])], BACKENDS[0]))
        processes = [_start(BACKENDS[1])]
        stack.callback(_end, processes)
        for name, port in zip(("survivor", VICTIM), BACKENDS, strict=True):
            ask(REGISTRY_PORT, "POST", "/services", service(name, port))
        router = [*PROGRAM, "--policy", "round-robin", "--log-level", "error", *FROM_REGISTRY]
        stack.enter_context(running(router, 41180))
        began = time.perf_counter()
        registered, results = asyncio.run(_crash_scene(processes, began, args.seconds))
    thirds = args.seconds / 3
    for name, start in (("before", began), ("crashed", began + thirds), ("back", began + 2 * thirds)):
        part = [one for one in results if start <= one.at < start + thirds]
        times = sorted(one.seconds * 1000 for one in part)
        print(
            f"{name}: {len(part)} requests, {sum(one.status != 200 for one in part)} failed,"
            f" p50 {times[len(times) // 2]:.2f} ms, p99 {times[int(len(times) * 0.99)]:.2f} ms,"
            f" max {times[-1]:.2f} ms"
        )
    again = min(one.at for one in results if one.at > began + 2 * thirds and one.backend == VICTIM)
    print(f"used again {(again - registered) * 1000:.1f} ms after it registered (at most 100)")


def _start(port: int) -> subprocess.Popen[bytes]:
    """A backend, once it answers."""
    process = subprocess.Popen([*MOCK, str(port)], stdout=-3, stderr=-3)
    while not answers(port):
        time.sleep(0.01)
    return process


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


async def _crash_scene(
    processes: list[subprocess.Popen[bytes]], began: float, seconds: float
) -> tuple[float, list[Result]]:
    """The load and the crash: when the restarted backend registered, and every request."""

    def come_back() -> float:
        processes.append(_start(BACKENDS[1]))
        ask(REGISTRY_PORT, "POST", "/services", service(VICTIM, BACKENDS[1]))
        return time.perf_counter()

    async def disturb() -> float:
        await asyncio.sleep(seconds / 3)
        processes[0].kill()
        await asyncio.sleep(seconds / 3)
        return await asyncio.to_thread(come_back)

    disturbed = asyncio.create_task(disturb())
    tasks = []
    for number in range(int(seconds * 500)):
        await asyncio.sleep(max(0.0, began + number / 500 - time.perf_counter()))
        tasks.append(asyncio.create_task(_request(41180, BODY.encode())))
    results = await asyncio.gather(*tasks)
    return await disturbed, results


async def _stream_backend(chunks: int, gap: float) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                    continue
                await reader.readexactly(len(BODY))
                writer.write(STREAM_HEAD)
                for _ in range(chunks):
                    data = b"data: %.9f\n\n" % time.monotonic()
                    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                    await asyncio.sleep(gap)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    return await asyncio.start_server(serve, HOST, BACKENDS[0])


async def _stream_client(port: int, delays: list[float], first: list[float]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
    began = time.monotonic()
    writer.write(head.encode())
    heard = False
    while line := await reader.readline():
        if line.startswith(b"data: "):
            now = time.monotonic()
            delays.append(now - float(line[6:]))
            if not heard:
                heard = True
                first.append(now - began)
        elif line == b"0\r\n":
            break
    writer.close()


def streams(args: argparse.Namespace) -> None:
    """Streams of chunks every 20 ms, direct and through the router; client and backend share a loop."""

    async def scene(port: int) -> tuple[list[float], list[float]]:
        delays: list[float] = []
        first: list[float] = []
        async with await _stream_backend(args.chunks, 0.02):
            clients = []
            for _ in range(args.streams):
                clients.append(asyncio.create_task(_stream_client(port, delays, first)))
                await asyncio.sleep(0.005)
            await asyncio.gather(*clients)
        return delays, first

    def measured(name: str, port: int) -> None:
        for what, numbers in zip(("chunk", "first byte"), map(sorted, asyncio.run(scene(port))), strict=True):
            p50, p99 = numbers[len(numbers) // 2] * 1000, numbers[int(len(numbers) * 0.99)] * 1000
            print(f"{name}: {what} delay p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {numbers[-1] * 1000:.2f} ms")

    measured("direct", BACKENDS[0])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        router = subprocess.Popen(ours(folder, folder), stdout=subprocess.PIPE)
        stack.callback(router.wait)
        stack.callback(router.terminate)
        assert router.stdout is not None
        router.stdout.readline()
        measured("muster", 41180)
