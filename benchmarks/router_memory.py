"""The router's memory: over a million requests, over backends that come and go, while a large body passes."""

import argparse
import asyncio
import hashlib
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.router_peers import (
    BACKENDS,
    FROM_REGISTRY,
    HOST,
    MODEL,
    PEERS,
    REGISTRY,
    REGISTRY_PORT,
    ask,
    listening,
    nginx_backend,
    ours,
    peak_mb,
    resident_mb,
    running,
    service,
)
from benchmarks.router_wrk import stage, wrk

MEGABYTE = 1024 * 1024
AT_A_TIME = 500  # backends that are there together


def memory(args: argparse.Namespace) -> None:
    """Resident memory after each tenth of the requests, then after each tenth of the backends."""
    _over_requests(args, 1_000_000)
    _over_backends(10_000)


def _over_requests(args: argparse.Namespace, requests: int) -> None:
    with stage(args, ["muster"]) as (script, pids):
        pid, told, done = pids["muster"], 0, 0.0
        seen = [resident_mb(pid)]
        while done < requests:
            row = wrk(PEERS["muster"].port, pid, script, connections=args.connections, seconds=2.0)
            done += row.per_second * 2.0
            if done * 10 // requests > told:
                told = int(done * 10 // requests)
                seen.append(row.resident)
    print(f"requests: {_told(seen)} over {done:,.0f} requests")


def _told(seen: list[float]) -> str:
    steps = " ".join(f"{one:.1f}" for one in seen)
    return f"RSS {steps} MB, {seen[-1] - seen[1]:+.1f} MB after the first tenth"


def _over_backends(number: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(running(nginx_backend(folder), BACKENDS[0]))
        stack.enter_context(listening(REGISTRY))
        pid = stack.enter_context(running([*ours(folder, folder), *FROM_REGISTRY], PEERS["muster"].port))
        seen = [resident_mb(pid)]
        for start in range(0, number, AT_A_TIME):
            names = [f"comes-and-goes-{one}" for one in range(start, start + AT_A_TIME)]
            for name in names:
                ask(REGISTRY_PORT, "POST", "/services", service(name, BACKENDS[0], f"model-of-{name}"))
            _until_served(len(BACKENDS) + AT_A_TIME)
            for name in names:
                ask(REGISTRY_PORT, "DELETE", f"/services/{name}")
            _until_served(len(BACKENDS))
            if (start + AT_A_TIME) % (number // 10) == 0:
                seen.append(resident_mb(pid))
    print(f"backends: {_told(seen)} over {number:,} that came, {AT_A_TIME} at a time, and went")


def _until_served(number: int) -> None:
    """Wait until the router knows so many backends."""
    deadline = time.monotonic() + 20
    while True:
        there = json.loads(ask(PEERS["muster"].port, "GET", "/health"))["healthy_services"].partition("/")[2]
        if int(there) == number:
            return
        if time.monotonic() > deadline:
            msg = f"the router knows {there} backends, not {number}"
            raise RuntimeError(msg)
        time.sleep(0.05)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A backend that answers with what it was sent, piece by piece."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, rest = head.partition(b"content-length:")
            left = int(rest.partition(b"\r\n")[0]) if found else 0
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % left)
            while left:
                piece = await reader.read(min(left, MEGABYTE))
                if not piece:
                    return
                left -= len(piece)
                writer.write(piece)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _there_and_back(size: int) -> tuple[bool, float]:
    """Send a body of so many megabytes; whether it came back as it was, and how long that took."""
    piece, sent, got = b"x" * MEGABYTE, hashlib.sha256(), hashlib.sha256()
    start, end = b'{"prompt":"', b'","model":"%b"}' % MODEL.encode()
    length = len(start) + size * MEGABYTE + len(end)
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(HOST, PEERS["muster"].port)
    writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % length)
    for part in (start, *[piece] * size, end):
        sent.update(part)
        writer.write(part)
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    while length and (part := await reader.read(min(length, MEGABYTE))):
        got.update(part)
        length -= len(part)
    writer.close()
    whole = b" 200 " in head[:20] and sent.digest() == got.digest()
    return whole, time.perf_counter() - began


def bodies(_: argparse.Namespace) -> None:
    """A body of 64 MB to a backend that sends it back; by how much the router's memory grew at most."""

    async def scene(pid: int) -> None:
        for _ in range(20):
            await _there_and_back(0)
        before = resident_mb(pid)
        for _ in range(3):
            whole, seconds = await _there_and_back(64)
            peak = peak_mb(pid)
            print(
                f"64 MB there and back {'as sent' if whole else 'NOT AS SENT'} in {seconds:.2f} s;"
                f" RSS {before:.1f} MB before, at most {peak:.1f} MB: {peak - before:+.1f} MB (at most +8)"
            )

    async def with_backend() -> None:
        servers = [await asyncio.start_server(_echo, HOST, port, limit=MEGABYTE) for port in BACKENDS]
        with tempfile.TemporaryDirectory() as folder:
            command = ours(Path(folder), Path(folder))
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            try:
                assert process.stdout is not None
                await process.stdout.readline()
                await scene(process.pid)
            finally:
                process.terminate()
                await process.wait()
        for server in servers:
            server.close()

    asyncio.run(with_backend())
