"""The router beside its peers: same backend, same load, same run. `python -m benchmarks.router --help`.

throughput  requests per second and CPU per 1,000 of them (wrk, nginx as backend)
crash       one of two backends is killed under a steady load, and started again
streams     many streams at once: what the router adds to the first byte and to every chunk

A peer that is not installed is left out and named. `--peers-bin` says where wheels put their commands.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.77.3.1"
BACKENDS = (41101, 41102)
MODEL = "mock-model"
ANSWER = (
    '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"mock-model",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"Hello from the mock backend"},'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}'
)
QUESTION = "Hello, how are you today?"
BODY = f'{{"model":"{MODEL}","messages":[{{"role":"user","content":"{QUESTION}"}}],"max_tokens":16}}'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WRK_SCRIPT = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that is measured: how it is started in a folder, and where it listens."""

    name: str
    port: int
    command: Callable[[Path, Path], list[str]]


def nginx_backend(folder: Path) -> list[str]:
    listens = " ".join(f"listen {HOST}:{port};" for port in BACKENDS)
    pages = f"location /health {{ return 200 '{{}}'; }} location / {{ return 200 '{ANSWER}'; }}"
    models = f'location /v1/models {{ return 200 \'{{"data":[{{"id":"{MODEL}"}}]}}\'; }}'
    server = f"server {{ {listens} default_type application/json; {models} {pages} }}"
    return _nginx(folder, "backend", server)


def nginx_front(folder: Path, _: Path) -> list[str]:
    servers = " ".join(f"server {HOST}:{port};" for port in BACKENDS)
    upstream = f"upstream llm {{ {servers} keepalive 512; }}"
    headers = 'proxy_http_version 1.1; proxy_set_header Connection "";'
    proxied = f"location / {{ proxy_pass http://llm; {headers} proxy_buffering off; }}"
    return _nginx(folder, "front", f"{upstream} server {{ listen {HOST}:41170; {proxied} }}")


def _nginx(folder: Path, name: str, http: str) -> list[str]:
    config = folder / f"nginx-{name}.conf"
    config.write_text(
        f"worker_processes 1; daemon off; master_process off; error_log {folder}/{name}.err;"
        f" pid {folder}/{name}.pid;"
        f" events {{ worker_connections 4096; }}"
        f" http {{ access_log off; keepalive_requests 100000000; {http} }}"
    )
    return ["nginx", "-c", str(config), "-p", str(folder)]


def haproxy(folder: Path, _: Path) -> list[str]:
    config = folder / "haproxy.cfg"
    servers = "\n".join(f"  server b{port} {HOST}:{port}" for port in BACKENDS)
    config.write_text(
        "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 2s\n"
        "  timeout client 60s\n  timeout server 60s\n  http-reuse always\n  option http-buffer-request\n"
        f"frontend fe\n  bind {HOST}:41160\n"
        f"  acl known req.body,json_query('$.model') -m str {MODEL}\n"
        "  http-request return status 404 unless known\n  default_backend be\n"
        f"backend be\n  balance roundrobin\n{servers}\n"
    )
    return ["haproxy", "-db", "-f", str(config)]


def ours(folder: Path, _: Path) -> list[str]:
    static = folder / "static.json"
    metadata = {"type": "openai-api", "models": [MODEL]}
    entries = [{"name": f"b{port}", "host": HOST, "port": port, "metadata": metadata} for port in BACKENDS]
    static.write_text(json.dumps(entries))
    options = ["--static-services", str(static), "--policy", "round-robin", "--log-level", "error"]
    return [sys.executable, "-m", "system", "router", "--host", HOST, "--port", "41180", *options]


def vllm(_: Path, peers: Path) -> list[str]:
    return _rust([str(peers / "vllm-router")], 41120)


def sglang(_: Path, peers: Path) -> list[str]:
    return _rust([str(peers / "python"), "-m", "sglang_router.launch_router"], 41110)


def _rust(command: list[str], port: int) -> list[str]:
    urls = [f"http://{HOST}:{backend}" for backend in BACKENDS]
    listen = ["--host", HOST, "--port", str(port), "--log-level", "error", "--policy", "round_robin"]
    metrics = ["--prometheus-host", HOST, "--prometheus-port", str(port + 1)]
    return [*command, *listen, *metrics, "--worker-urls", *urls]


PEERS = {
    "muster": Peer("muster", 41180, ours),
    "nginx": Peer("nginx", 41170, nginx_front),
    "haproxy": Peer("haproxy", 41160, haproxy),
    "vllm-router": Peer("vllm-router", 41120, vllm),
    "sglang-router": Peer("sglang-router", 41110, sglang),
}


@contextmanager
def running(command: list[str], port: int, within: float = 20.0) -> Iterator[int]:
    """A program that answers on its port; its pid."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + within
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                msg = f"{command[0]} does not answer on port {port} (exit code {process.poll()})"
                raise RuntimeError(msg)
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    request = f"{head}Connection: close\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    try:
        with socket.create_connection((HOST, port), 1) as client:
            client.sendall(request)
            return b" 200 " in client.recv(64)
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Row:
    """One run of wrk."""

    per_second: float
    p50: float
    p99: float
    cpu_per_1000: float
    resident: float
    bad: int


def wrk(port: int, pid: int | None, args: argparse.Namespace, script: Path) -> Row:
    before = cpu_seconds(pid) if pid else 0.0
    url = f"http://{HOST}:{port}/v1/chat/completions"
    load = [
        "wrk",
        "-t1",
        f"-c{args.connections}",
        f"-d{args.seconds:g}s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    out = subprocess.run(load, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(pid) - before if pid else 0.0
    requests = int(re.search(r"(\d+) requests in", out)[1])  # type: ignore[index]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Row(
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),  # type: ignore[index]
        p50=_milliseconds(out, "50%"),
        p99=_milliseconds(out, "99%"),
        cpu_per_1000=used / requests * 1000,
        resident=resident_mb(pid) if pid else 0.0,
        bad=int(bad[1]) if bad else 0,
    )


def _milliseconds(out: str, which: str) -> float:
    number, unit = re.search(rf"\s{which}\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def throughput(args: argparse.Namespace) -> None:
    """Alternating rounds; medians, so that a disturbance of the machine hits all alike."""
    rows: dict[str, list[Row]] = {"direct": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = folder / "post.lua"
        script.write_text(WRK_SCRIPT)
        stack.enter_context(running(nginx_backend(folder), BACKENDS[0]))
        pids = {}
        for name in args.peers:
            try:
                peer = PEERS[name]
                pids[name] = stack.enter_context(running(peer.command(folder, args.peers_bin), peer.port))
                rows[name] = []
            except (OSError, RuntimeError) as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
        for _ in range(args.rounds):
            rows["direct"].append(wrk(BACKENDS[0], None, args, script))
            for name, pid in pids.items():
                rows[name].append(wrk(PEERS[name].port, pid, args, script))
    print("| program | req/s | p50 ms | p99 ms | CPU s per 1,000 | RSS MB | not 2xx |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in rows.items():
        middle = [
            statistics.median(getattr(run, field) for run in runs) for field in Row.__dataclass_fields__
        ]
        print(
            f"| {name} | {middle[0]:,.0f} | {middle[1]:.2f} | {middle[2]:.2f} | {middle[3]:.4f} |"
            f" {middle[4]:.0f} | {middle[5]:.0f} |"
        )


async def _request(port: int, body: bytes) -> tuple[int, float]:
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        return int(answer[9:12] or 0), time.perf_counter() - began
    except (OSError, ValueError):
        return 0, time.perf_counter() - began


def crash(args: argparse.Namespace) -> None:
    """500 requests a second; after a third of the time one backend is killed, after two thirds it is back."""
    command = [sys.executable, "-m", "mock_services", "openai", "--host", HOST, "--models", MODEL, "--port"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(running([*command, str(BACKENDS[0])], BACKENDS[0]))
        victim = subprocess.Popen([*command, str(BACKENDS[1])], stdout=-3, stderr=-3)
        while not _answers(BACKENDS[1]):
            time.sleep(0.1)
        stack.enter_context(running(ours(folder, folder), 41180))
        again: list[subprocess.Popen[bytes]] = []

        async def scene() -> list[tuple[float, int, float]]:
            results: list[tuple[float, int, float]] = []
            tasks: list[asyncio.Task[None]] = []
            began, thirds = time.perf_counter(), args.seconds / 3

            async def one(at: float) -> None:
                results.append((at, *await _request(41180, BODY.encode())))

            loop = asyncio.get_running_loop()
            loop.call_later(thirds, victim.send_signal, signal.SIGKILL)
            loop.call_later(
                2 * thirds,
                lambda: again.append(subprocess.Popen([*command, str(BACKENDS[1])], stdout=-3, stderr=-3)),
            )
            for number in range(int(args.seconds * 500)):
                await asyncio.sleep(max(0.0, began + number / 500 - time.perf_counter()))
                tasks.append(asyncio.create_task(one(time.perf_counter() - began)))
            await asyncio.gather(*tasks)
            return results

        results = asyncio.run(scene())
        for process in again:
            process.terminate()
            process.wait()
        victim.wait()
    thirds = args.seconds / 3
    for name, start in (("before", 0.0), ("crashed", thirds), ("back", 2 * thirds)):
        part = sorted(seconds for at, _, seconds in results if start <= at < start + thirds)
        failed = sum(status != 200 for at, status, _ in results if start <= at < start + thirds)
        print(
            f"{name}: {len(part)} requests, {failed} failed, p50 {part[len(part) // 2] * 1000:.2f} ms,"
            f" p99 {part[int(len(part) * 0.99)] * 1000:.2f} ms, max {part[-1] * 1000:.2f} ms"
        )


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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["throughput", "crash", "streams"])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument(
        "--connections", type=int, default=32, help="few of them show the latency that is added"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument("--peers-bin", type=Path, default=Path("/usr/local/bin"))
    args = parser.parse_args()
    missing = [tool for tool in ("wrk", "nginx") if args.what == "throughput" and not shutil.which(tool)]
    if missing:
        print(f"needs {' and '.join(missing)}: apt-get install wrk nginx-light", file=sys.stderr)
        return 2
    {"throughput": throughput, "crash": crash, "streams": streams}[args.what](args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
