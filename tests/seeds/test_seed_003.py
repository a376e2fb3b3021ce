"""The command lines of seed 003, typed as it prints them, answered as it prints it.

Four uvicorn workers and a real Redis run at an address of their own; curl takes `localhost:8000` there, so that
no line has to be changed. The gateway is examples/gateway/app.py: `uvicorn app:app` means what it always meant.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.gateway.front import Mock, environment, mocks, without_keys
from tests.system.gateway.redis_server import ADDRESS as REDIS_ADDRESS
from tests.system.gateway.redis_server import Server, needs_redis, redis_server

ADDRESS = f"127.78.{os.getpid() % 200 + 1}.80"  # parallel runs have one each
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "gateway"
PROGRAMS = ("curl", "jq", "bash")

pytestmark = [
    needs_redis,
    pytest.mark.skipif(
        not all(map(shutil.which, PROGRAMS)), reason="no curl or jq (apt-get install curl jq)"
    ),
]

DIRECT = """curl -X POST http://localhost:8000/chat/direct -H "Content-Type: application/json" -d '{
    "message": "What is Python?",
    "system_message": "You are a helpful programming assistant.",
    "temperature": 0.7,
    "max_tokens": 100
  }'"""
DECORATED = """curl -X POST http://localhost:8000/chat/decorator -H "Content-Type: application/json" -d '{
    "message": "Explain async/await in Python",
    "temperature": 0.8
  }'"""
HELLO = """curl -X POST http://localhost:8000/chat/direct -H "Content-Type: application/json" -d '{"message": "Hello"}'"""
WORKERS = """for i in {1..10}; do
  curl -s http://localhost:8000/health | jq '.worker_id'
done"""
RESET = "curl -X POST http://localhost:8000/providers/openai/reset"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


class Terminal:
    """Where the lines are typed, beside a gateway of four workers, its Redis and two providers."""

    def __init__(self, home: Path, openai: Mock, anthropic: Mock, redis: Server, log: Path) -> None:
        self.openai, self.anthropic, self.redis, self.log = openai, anthropic, redis, log
        self._env = {**os.environ, "CURL_HOME": str(home)}
        (home / ".curlrc").write_text(f'connect-to = "localhost:8000:{ADDRESS}:8000"\nsilent\n')

    def type(self, line: str) -> str:
        """What a line prints until it has ended."""
        done = subprocess.run(
            ["bash", "-c", line], env=self._env, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    def json(self, line: str) -> Any:
        return json.loads(self.type(line))

    def workers(self) -> set[int]:
        return {int(one) for one in self.type(WORKERS).split()}

    def seen_by_all(self, state: str) -> bool:
        """Every worker shows this state of OpenAI's circuit."""
        shown: dict[int, str] = {}
        for _ in range(200):
            health = self.json("curl http://localhost:8000/health")
            shown[health["worker_id"]] = health["providers"][0]["circuit_state"]
            if len(shown) == 4:
                break
        return len(shown) == 4 and set(shown.values()) == {state}


def until(holds: Callable[[], object], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline


@contextmanager
def uvicorn(line: str, env: dict[str, str], log: Path) -> Iterator[None]:
    """The command of the seed, at our address, until Ctrl-C."""
    words = shlex.split(line.replace("0.0.0.0", ADDRESS))
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=EXAMPLE,
            env=env,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield
        process.send_signal(signal.SIGINT)
        process.wait(20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    home = tmp_path_factory.mktemp("home")
    log = home / "uvicorn.log"
    with mocks() as (openai, anthropic), redis_server(home) as redis:
        told = environment(openai.url, anthropic.url, REDIS_HOST=REDIS_ADDRESS, REDIS_PORT=str(redis.port))
        del told["MUSTER_GATEWAY_REDIS"]
        env = {**without_keys(), "PYTHONPATH": str(ROOT), **told}
        with uvicorn("uvicorn app:app --host 0.0.0.0 --port 8000 --workers 4", env, log):
            terminal = Terminal(home, openai, anthropic, redis, log)
            until(lambda: log.read_text().count("ready to handle requests") == 4, within=60)
            yield terminal


@pytest.fixture
def terminal(stage: Terminal) -> Iterator[Terminal]:
    yield stage
    stage.openai.calm()
    stage.type(RESET)
    until(lambda: stage.seen_by_all("CLOSED"))


def test_chats(terminal: Terminal) -> None:
    """Direct client and decorator: five fields, by the first provider, from one of the workers."""
    for line in (DIRECT, DECORATED):
        answer = terminal.json(line)
        assert list(answer) == ["content", "provider", "model", "worker_id", "timestamp"]
        assert (answer["provider"], answer["model"]) == ("openai", "gpt-4o-mini")
        assert answer["content"]
        assert isinstance(answer["worker_id"], int)
        assert STAMP.fullmatch(answer["timestamp"])


def test_health(terminal: Terminal) -> None:
    """The comprehensive check is what the seed shows, field for field; both probes are answered."""
    health = terminal.json("curl http://localhost:8000/health")
    worker, stamp = health.pop("worker_id"), health.pop("timestamp")
    assert isinstance(worker, int)
    assert STAMP.fullmatch(stamp)
    provider = {"available": True, "circuit_state": "CLOSED", "failure_count": 0, "last_failure_time": None}
    assert health["status"] == "healthy"
    assert (health["redis_connected"], health["sync_enabled"]) == (True, True)
    assert health["providers"] == [
        {"name": "openai", "model": "gpt-4o-mini", **provider, "priority": 1},
        {"name": "anthropic", "model": "claude-3-5-haiku-20241022", **provider, "priority": 2},
    ]
    assert terminal.json("curl http://localhost:8000/health/ready")["ready"] is True
    assert terminal.json("curl http://localhost:8000/health/live")["alive"] is True


def test_different_workers_answer(terminal: Terminal) -> None:
    """The loop over /health shows several ids; after some rounds all four."""
    seen: set[int] = set()

    def all_of_them() -> bool:
        seen.update(terminal.workers())
        return len(seen) == 4

    until(all_of_them)


def test_state_is_synchronized(terminal: Terminal) -> None:
    """A provider that fails is left by all workers, whoever found out; a reset reaches all of them."""
    terminal.openai.told(fail=500)
    for _ in range(6):
        assert terminal.json(HELLO)["provider"] == "anthropic"
    assert isinstance(int(terminal.type("curl http://localhost:8000/providers | jq '.worker_id'")), int)
    until(lambda: terminal.seen_by_all("OPEN"))
    assert terminal.openai.asked == 5, "five failures open it, by whichever worker"
    told = terminal.json(RESET)
    assert (told["message"], told["new_state"]) == ("Circuit breaker reset for provider 'openai'", "CLOSED")
    until(lambda: terminal.seen_by_all("CLOSED"))


def test_providers_and_metrics(terminal: Terminal) -> None:
    """Status of providers, and metrics as JSON."""
    shown = terminal.json("curl http://localhost:8000/providers")
    assert [one["name"] for one in shown["providers"]] == ["openai", "anthropic"]
    metrics = terminal.json("curl http://localhost:8000/metrics")
    assert (metrics["redis_status"], metrics["provider_count"]) == ("connected", 2)
    assert set(metrics["circuit_breakers"]) == {"openai", "anthropic"}


def test_logs(terminal: Terminal) -> None:
    """The three kinds of lines that the seed shows, each with its time, level and worker."""
    worker = terminal.json(HELLO)["worker_id"]
    terminal.type(RESET)
    stamp = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - gateway - INFO - "
    answered = rf"{stamp}\[Worker:{worker}\] - Worker {worker} processed request with provider: openai$"
    reset = rf"{stamp}\[Worker:(\d+)\] - Circuit breaker reset for provider 'openai' by worker \1$"
    for line in (answered, reset):
        until(lambda line=line: re.search(line, terminal.log.read_text(), re.MULTILINE))  # type: ignore[misc]


def test_redis_can_be_watched(terminal: Terminal) -> None:
    """The channels are there under their documented names, and an event can be heard on its pattern."""
    ask = terminal.redis.ask
    channels = ask("PUBSUB", "CHANNELS", "circuit_breaker:*").split()
    assert {"circuit_breaker:state:openai", "circuit_breaker:state:anthropic"} <= set(channels)
    command = [
        "redis-cli",
        "-h",
        REDIS_ADDRESS,
        "-p",
        str(terminal.redis.port),
        "PSUBSCRIBE",
        "circuit_breaker:state:*",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        lines = iter(listening.stdout.readline, "")
        assert next(lines).strip() == "psubscribe"
        terminal.type(RESET)
        heard = next(
            line.strip() for line in lines if line.startswith("circuit_breaker:state:") and "*" not in line
        )
        listening.terminate()
    assert heard == "circuit_breaker:state:openai"


@pytest.mark.skipif(not shutil.which("ab"), reason="no ab (apt-get install apache2-utils)")
def test_load(terminal: Terminal) -> None:
    """`ab` with the seed's request.json: a hundred requests, ten at a time, not one fails."""
    url = "http://localhost:8000/chat/direct".replace("localhost", ADDRESS)
    printed = terminal.type(f"cd {EXAMPLE} && ab -n 100 -c 10 -p request.json -T application/json {url}")
    assert re.search(r"^Complete requests: +100$", printed, re.MULTILINE)
    assert "Non-2xx" not in printed
    # content, model and ids are of one length each; a worker's id may be a digit shorter than another's
    failed = re.search(r"\(Connect: (\d+), Receive: (\d+), Length: \d+, Exceptions: (\d+)\)", printed)
    assert failed is None or failed.groups() == ("0", "0", "0")


def test_without_redis_one_line_says_so(stage: Terminal, tmp_path: Path) -> None:
    """Redis is not there: every worker says so once and serves, and /health tells the truth."""
    log = tmp_path / "log"
    told = environment(stage.openai.url, stage.anthropic.url, REDIS_HOST=REDIS_ADDRESS, REDIS_PORT="9")
    del told["MUSTER_GATEWAY_REDIS"]
    env = {**without_keys(), "PYTHONPATH": str(ROOT), **told}
    with uvicorn("uvicorn app:app --host 0.0.0.0 --port 8001", env, log):
        until(lambda: "ready to handle requests" in log.read_text(), within=60)
        url = f"http://{ADDRESS}:8001/health"
        health = json.loads(
            subprocess.check_output(["curl", "-s", "--retry", "5", "--retry-connrefused", url])
        )
        assert (health["redis_connected"], health["sync_enabled"], health["status"]) == (
            False,
            False,
            "healthy",
        )
    assert log.read_text().count("Proceeding without Redis - state sync will be disabled") == 1
