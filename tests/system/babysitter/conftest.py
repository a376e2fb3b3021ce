"""Real babysitters on free ports, and a registry that answers as a test wants."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from system.testing import Running, running

HOST = "127.77.1.1"


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that the registry got."""

    method: str
    path: str
    body: dict[str, Any]
    at: float

    @property
    def about(self) -> str:
        return (
            str(self.body["name"]) if self.path == "/services" else self.path.split("/")[2].partition("?")[0]
        )

    @property
    def kind(self) -> str:
        return "heartbeat" if self.path.endswith("/heartbeat") else self.method


class FakeRegistry:
    """Remembers every request and answers with `answer(request)`: a status and a document."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], tuple[int, dict[str, Any]]] = self.accept
        self._news = threading.Condition()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                seen = Seen(self.command, self.path, json.loads(raw or b"{}"), time.monotonic())
                status, document = registry.answer(seen)
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with registry._news:
                    registry.seen.append(seen)
                    registry._news.notify_all()

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def accept(seen: Seen) -> tuple[int, dict[str, Any]]:
        """What a registry without surprises answers."""
        return (201, {"lease_id": f"lease-{seen.about}"}) if seen.kind == "POST" else (200, {})

    def wait_for(self, kind: str, about: str, *, after: int = 0, within: float = 10.0) -> Seen:
        """The first such request, of those after the given number."""
        deadline = time.monotonic() + within
        with self._news:
            while True:
                for seen in self.seen[after:]:
                    if (seen.kind, seen.about) == (kind, about):
                        return seen
                left = deadline - time.monotonic()
                if left <= 0:
                    got = "\n".join(f"{seen.kind} {seen.about}" for seen in self.seen[after:])
                    msg = f"no {kind} for {about}; got:\n{got}"
                    raise AssertionError(msg)
                self._news.wait(left)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    fake = FakeRegistry()
    yield fake
    fake.close()


def free_port() -> int:
    """A port that is free, and the next one too."""
    while True:
        port = random.randint(20_000, 60_000)
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind((HOST, number))
        except OSError:
            continue
        return port


@dataclass(frozen=True, slots=True)
class Sitter:
    """A babysitter that runs."""

    program: Running
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port + 1}"


Sit = Callable[..., Any]


@pytest.fixture
def sit() -> Sit:
    """Starts `babysitter` with a mock backend and fast heartbeats; more options follow."""

    @contextmanager
    def start(*options: str, name: str = "babysitter-a", backend: bool = True) -> Iterator[Sitter]:
        port = free_port()
        argv = ["--host", HOST, "--port", str(port), "--name", name]
        argv += ["--heartbeat-interval", "100ms", "--restart-delay", "50ms"]
        argv += ["--service-type", "mock", "--models", "model-1"] if backend else []
        with running("system", "babysitter", *argv, *options) as program:
            yield Sitter(program, port)

    return start
