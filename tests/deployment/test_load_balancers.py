"""docker/load-balancers: several gateways behind nginx and HAProxy, as Debian packages them, run for real."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from system.testing import Running, running

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "docker" / "load-balancers"
HOST, FIRST, SECOND = "127.77.8.1", "127.77.8.2", "127.77.8.3"
PROCESSES = {FIRST: 2, SECOND: 1}
MODEL = "gpt-4o-mini"
CHAT = {"message": "Hello"}
LOOKED_AT_TWICE = 2.5
"""Seconds within which HAProxy has looked at each instance twice, and would have taken it out."""

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gateway.conf;
}}
"""


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def adapted(name: str, listen: str, port: int, ports: tuple[int, int]) -> str:
    """The sample with the addresses of this test in it; each must stand there, or it is another sample."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for sample, real in (
        ("10.0.0.11:8000", f"{FIRST}:{ports[0]}"),
        ("10.0.0.12:8000", f"{SECOND}:{ports[1]}"),
        (listen, listen.replace(":80", "80").replace("80", f"{HOST}:{port}")),
    ):
        assert sample in text
        text = text.replace(sample, real)
    return text


@contextmanager
def nginx(folder: Path, port: int, ports: tuple[int, int]) -> Iterator[None]:
    (folder / "gateway.conf").write_text(adapted("nginx.conf", "listen 80", port, ports))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    with program(folder, "nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")):
        yield


@contextmanager
def haproxy(folder: Path, port: int, ports: tuple[int, int]) -> Iterator[None]:
    (folder / "haproxy.cfg").write_text(adapted("haproxy.cfg", "bind :80", port, ports))
    with program(folder, "haproxy", "-db", "-f", str(folder / "haproxy.cfg")):
        yield


@contextmanager
def program(folder: Path, *argv: str) -> Iterator[None]:
    """A balancer, while it runs; its own words are shown when something fails."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    found = shutil.which(argv[0], path=path)
    if found is None:
        pytest.skip(f"{argv[0]} is not installed here (apt-get install nginx-light haproxy)")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([found, *argv[1:]], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
        print((folder / "log").read_text())


BALANCERS: dict[str, Callable[..., AbstractContextManager[None]]] = {"nginx": nginx, "haproxy": haproxy}


@dataclass
class Site:
    """A balancer, its two gateways and their provider."""

    url: str
    first: Running
    second: Running
    ports: tuple[int, int]
    gateways: dict[str, Running] = field(default_factory=dict)
    stacks: dict[str, ExitStack] = field(default_factory=dict)

    def start(self, host: str) -> None:
        port = self.ports[0 if host == FIRST else 1]
        env = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{self.first.url}/v1",
            "ANTHROPIC_API_KEY": "test",
            "ANTHROPIC_BASE_URL": self.second.url,
        }
        workers = str(PROCESSES[host])
        options = (
            "--host",
            host,
            "--port",
            str(port),
            "--workers",
            workers,
            "--redis",
            "none",
            "--recovery",
            "1s",
        )
        self.stacks[host] = ExitStack()
        self.gateways[host] = self.stacks[host].enter_context(running("system", "gateway", *options, env=env))

    def close(self) -> None:
        for stack in self.stacks.values():
            stack.close()

    def stop(self, host: str) -> int:
        return self.gateways[host].stop(within=20)


@pytest.fixture(scope="module", params=list(BALANCERS))
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    ports = (free_port(FIRST), free_port(SECOND))
    port = free_port(HOST)
    openai = ("mock_services", "openai", "--host", HOST, "--port", "0", "--models", MODEL)
    anthropic = ("mock_services", "anthropic", "--host", HOST, "--port", "0")
    with ExitStack() as stack:
        stack.enter_context(BALANCERS[request.param](tmp_path_factory.mktemp("site"), port, ports))
        first, second = (stack.enter_context(running(*mock)) for mock in (openai, anthropic))
        made = Site(f"http://{HOST}:{port}", first, second, ports)
        stack.callback(made.close)
        made.start(FIRST)
        made.start(SECOND)
        until(lambda: len(workers(made.url)) == sum(PROCESSES.values()))
        yield made


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    yield shared
    for provider in (shared.first, shared.second):
        httpx.delete(f"{provider.url}/control")


def until(holds: Callable[[], bool], within: float = 15.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(url: str) -> set[int]:
    """The processes that a few new connections meet."""
    found = set()
    for _ in range(24):
        try:
            found.add(httpx.get(f"{url}/health/live", timeout=5).json()["worker_id"])
        except (httpx.HTTPError, json.JSONDecodeError):
            continue
    return found


class Callers(threading.Thread):
    """Chats through the balancer, one after the other, until it is told to stop."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.over = threading.Event()
        self.failed: list[str] = []
        self.answered: list[int] = []

    def run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self.over.is_set():
                try:
                    answer = client.post(f"{self.url}/chat/direct", json=CHAT)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                if answer.status_code == 200:
                    self.answered.append(answer.json()["worker_id"])
                else:
                    self.failed.append(f"{answer.status_code} {answer.text}")


@contextmanager
def calling(url: str, number: int = 3) -> Iterator[list[Callers]]:
    threads = [Callers(url) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.over.set()
        for thread in threads:
            thread.join()


def test_a_rolling_restart_costs_no_request(site: Site) -> None:
    """Chats go on while each instance in turn is ended and started anew; new processes answer in the end."""
    before = workers(site.url)
    with calling(site.url) as threads:
        until(lambda: before <= {worker for thread in threads for worker in thread.answered})
        for host in (FIRST, SECOND):
            assert site.stop(host) == 0
            site.start(host)
            until(lambda: len(workers(site.url)) == sum(PROCESSES.values()))

    assert [thread.failed for thread in threads] == [[], [], []]
    assert not before & workers(site.url)


def test_a_stream_arrives_as_it_is_written(site: Site) -> None:
    """The first chunk of a stream is there long before its last: nothing is held back."""
    for provider in (site.first, site.second):
        httpx.post(f"{provider.url}/control", json={"slow_chunks": "150ms"})
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    with httpx.stream("POST", f"{site.url}/v1/chat/completions", json=body, timeout=20) as answer:
        assert answer.status_code == 200
        times = [time.monotonic() for line in answer.iter_lines() if line]

    assert len(times) > 5
    assert times[-1] - times[0] > 0.5


def test_a_provider_that_is_down_takes_no_instance_out(site: Site) -> None:
    """/health is 503 while a circuit is open; all chats are answered all the same, by both instances."""
    httpx.post(f"{site.first.url}/control", json={"fail": 500})
    with calling(site.url, 1) as (caller,):
        until(lambda: httpx.get(f"{site.url}/health", timeout=5).status_code == 503)
        begun, known = time.monotonic(), len(caller.answered)
        until(lambda: time.monotonic() > begun + LOOKED_AT_TWICE and len(caller.answered) > known + 20)

    assert caller.failed == []
    assert len(set(caller.answered[known:])) >= 2
