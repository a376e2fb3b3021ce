"""Programs that are measured beside the router, started alike; and what a process has used of the machine."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.77.3.1"
BACKENDS = (41101, 41102)
REGISTRY_PORT = 41190
MODEL = "mock-model"
ANSWER = (
    '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"mock-model",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"Hello from the mock backend"},'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}'
)
QUESTION = "Hello, how are you today?"
BODY = f'{{"model":"{MODEL}","messages":[{{"role":"user","content":"{QUESTION}"}}],"max_tokens":16}}'


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that is measured: how it is started in a folder, and where it listens."""

    name: str
    port: int
    command: Callable[[Path, Path], list[str]]


def nginx_backend(folder: Path, host: str = HOST) -> list[str]:
    listens = " ".join(f"listen {host}:{port};" for port in BACKENDS)
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


PROGRAM = [sys.executable, "-m", "system", "router", "--host", HOST, "--port", "41180"]


def ours(folder: Path, _: Path) -> list[str]:
    static = folder / "static.json"
    metadata = {"type": "openai-api", "models": [MODEL]}
    entries = [{"name": f"b{port}", "host": HOST, "port": port, "metadata": metadata} for port in BACKENDS]
    static.write_text(json.dumps(entries))
    options = ["--static-services", str(static), "--policy", "round-robin", "--log-level", "error"]
    return [*PROGRAM, *options]


def vllm(_: Path, peers: Path) -> list[str]:
    return _rust([str(peers / "vllm-router")], 41120)


def sglang(_: Path, peers: Path) -> list[str]:
    return _rust([str(peers / "python"), "-m", "sglang_router.launch_router"], 41110)


def _rust(command: list[str], port: int) -> list[str]:
    urls = [f"http://{HOST}:{backend}" for backend in BACKENDS]
    listen = ["--host", HOST, "--port", str(port), "--log-level", "error", "--policy", "round_robin"]
    metrics = ["--prometheus-host", HOST, "--prometheus-port", str(port + 1)]
    return [*command, *listen, *metrics, "--worker-urls", *urls]


REGISTRY = [
    *(sys.executable, "-m", "system", "registry", "--host", HOST, "--port", str(REGISTRY_PORT)),
    *("--health-interval", "0", "--log-level", "error"),
]
FROM_REGISTRY = ["--registry", f"http://{HOST}:{REGISTRY_PORT}"]


def service(name: str, port: int, *models: str) -> dict[str, object]:
    """What a backend tells a registry."""
    metadata = {"type": "openai-api", "models": [MODEL, *models]}
    where = {"host": HOST, "hostname": HOST, "port": port, "url": f"http://{HOST}:{port}"}
    return {"name": name, "status": "running", "metadata": metadata, **where}


PEERS = {
    "muster": Peer("muster", 41180, ours),
    "nginx": Peer("nginx", 41170, nginx_front),
    "haproxy": Peer("haproxy", 41160, haproxy),
    "vllm-router": Peer("vllm-router", 41120, vllm),
    "sglang-router": Peer("sglang-router", 41110, sglang),
}


@contextmanager
def running(command: list[str], port: int, within: float = 20.0, host: str = HOST) -> Iterator[int]:
    """A program that answers on its port; its pid."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + within
        while not answers(port, host):
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


def answers(port: int, host: str = HOST) -> bool:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    request = f"{head}Connection: close\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    try:
        with socket.create_connection((host, port), 1) as client:
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


def peak_mb(pid: int) -> float:
    """The most that was resident since the process began."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@contextmanager
def listening(command: list[str]) -> Iterator[None]:
    """A program of ours, once it has said where it listens."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(10)


def ask(port: int, method: str, path: str, document: object = None) -> bytes:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        msg = f"{method} {path}: {answer.status} {said[:200]!r}"
        raise RuntimeError(msg)
    return said
