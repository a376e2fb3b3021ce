"""The command lines of seed 001, typed as it prints them, answered as it prints it.

curl takes `localhost:8080` to an address of its own (a line in its start-up file), so that nothing else on
this machine is in the way and no line has to be changed.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from system.testing import running

ADDRESS = f"127.77.{os.getpid() % 200 + 1}.80"  # parallel runs have one each
pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="no curl (apt-get install curl)")

NOBODY = '{"detail":"no matching replica"}'
REGISTER_R1 = """curl -N -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"r1","endpoint":"localhost:50051","capabilities":[{"model":"qwen2"}]}'"""
REGISTER_BOTH = """curl -N -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"r1","endpoint":"localhost:50051","capabilities":[{"model":"qwen2"},{"model":"llama","type":"chat"}]}'"""
REGISTER_A = """curl -N -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"a","endpoint":"localhost:50051","capabilities":[{"type":"chat"}]}'"""
REGISTER_B = """curl -N -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"b","endpoint":"localhost:50052","capabilities":[{"type":"embed"}]}'"""
R1 = '{"endpoint":"localhost:50051","replica_id":"r1"}'


class Terminals:
    """As many as are needed, all beside one registry on port 8080."""

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / ".curlrc").write_text(f'connect-to = "localhost:8080:{ADDRESS}:8080"\nsilent\n')

    def type(self, line: str) -> str:
        """What a line prints until it has ended."""
        done = subprocess.run(
            shlex.split(line),
            env={"CURL_HOME": str(self._home)},
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return done.stdout

    @contextmanager
    def open(self, line: str) -> Iterator[Path]:
        """A terminal in which a line goes on, and what it has printed so far; Ctrl-C ends it."""
        printed = self._home / f"{time.monotonic_ns()}.txt"
        with printed.open("w") as file:
            process = subprocess.Popen(shlex.split(line), env={"CURL_HOME": str(self._home)}, stdout=file)
        try:
            until(lambda: "registered" in printed.read_text())
            yield printed
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(5)


def until(holds: Callable[[], object], within: float = 5.0) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    with running("system", "registry", "--port", "8080", "--host", ADDRESS):
        yield Terminals(tmp_path)


def test_quick_start(terminals: Terminals) -> None:
    """Steps 2 to 5: register, ask, list, Ctrl-C, ask again."""
    with terminals.open(REGISTER_R1):
        assert terminals.type("curl http://localhost:8080/route?model=qwen2") == R1
        listed = '{"replicas":[{"replica_id":"r1","endpoint":"localhost:50051","capabilities":[{"model":"qwen2"}]}]}'
        assert terminals.type("curl http://localhost:8080/registry") == listed
    until(lambda: terminals.type("curl http://localhost:8080/route?model=qwen2") == NOBODY, within=1.0)


def test_the_stream_of_events(terminals: Terminals) -> None:
    """Registered, alive at once, and alive again while the connection stays open."""
    with terminals.open(REGISTER_BOTH) as printed:
        until(lambda: printed.read_text().count("alive") == 2, within=7.0)
    assert printed.read_text().split("\n\n") == [
        'data: {"status": "registered", "replica_id": "r1"}',
        'data: {"status": "alive"}',
        'data: {"status": "alive"}',
        "",
    ]


def test_one_condition_and_several(terminals: Terminals) -> None:
    """The two ways to ask that the reference shows, and 404 when nobody is there."""
    assert terminals.type('curl "http://localhost:8080/route?model=qwen2"') == NOBODY
    with terminals.open(REGISTER_BOTH):
        assert terminals.type('curl "http://localhost:8080/route?model=qwen2"') == R1
        assert terminals.type('curl "http://localhost:8080/route?model=llama&type=chat"') == R1
        assert terminals.type('curl "http://localhost:8080/route?model=qwen2&type=chat"') == NOBODY


def test_health(terminals: Terminals) -> None:
    """A healthy registry says so."""
    assert json.loads(terminals.type("curl http://localhost:8080/health"))["status"] == "healthy"


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("model=qwen2", True),
        ("type=chat", True),
        ("model=qwen2&type=chat", True),
        ("model=qwen3", False),
        ("model=qwen2&gpu=1", False),
    ],
)
def test_the_table_of_what_matches(terminals: Terminals, query: str, matches: bool) -> None:
    """Conditions are a subset of one capability: the five examples."""
    registered = REGISTER_R1.replace('{"model":"qwen2"}', '{"model":"qwen2","type":"chat"}')
    with terminals.open(registered):
        assert terminals.type(f'curl "http://localhost:8080/route?{query}"') == (R1 if matches else NOBODY)


def test_several_replicas(terminals: Terminals) -> None:
    """A for chat, B for embed, each named for its own; both are listed."""
    with ExitStack() as open_terminals:
        for line in (REGISTER_A, REGISTER_B):
            open_terminals.enter_context(terminals.open(line))
        chat = terminals.type('curl "http://localhost:8080/route?type=chat"')
        embed = terminals.type('curl "http://localhost:8080/route?type=embed"')
        listed: dict[str, Any] = json.loads(terminals.type("curl http://localhost:8080/registry"))
    assert chat == '{"endpoint":"localhost:50051","replica_id":"a"}'
    assert embed == '{"endpoint":"localhost:50052","replica_id":"b"}'
    assert [replica["replica_id"] for replica in listed["replicas"]] == ["a", "b"]
