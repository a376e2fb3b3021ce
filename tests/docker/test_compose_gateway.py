"""docker/compose.gateway.yaml, started for real with mock providers in place of the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DOCKER = Path(__file__).parents[2] / "docker"
FILES = ("compose.gateway.yaml", "compose.gateway.mocks.yaml")
WORKERS = 2
CHAT = {"message": "Hello"}


@dataclass
class Compose:
    """docker-compose for one project of these files."""

    project: str

    def __call__(self, *words: str) -> str:
        old, new = shutil.which("docker-compose"), ["docker", "compose"]
        files = [word for name in FILES for word in ("-f", str(DOCKER / name))]
        argv = [*([old] if old else new), "-p", self.project, *files, *words]
        loopback = dict.fromkeys(("GATEWAY_PORT", "MOCK_OPENAI_PORT", "MOCK_ANTHROPIC_PORT"), "127.0.0.1:")
        env = {**os.environ, **loopback, "REDIS_IMAGE": "muster-redis:local", "GATEWAY_WORKERS": str(WORKERS)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def url(self, service: str, port: int) -> str:
        return f"http://{self('port', service, str(port))}"


def until(holds: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    if (
        not shutil.which("docker-compose")
        and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker-compose is not installed here (apt-get install docker-compose)")
    subprocess.run([DOCKER / "build.sh", "redis"], check=True, capture_output=True, timeout=300)
    started = Compose(f"muster-test-{uuid.uuid4().hex[:8]}")
    try:
        started("up", "-d")
        yield started
    finally:
        print(started("logs", "--no-color"))
        started("down", "-v", "--remove-orphans")


@pytest.fixture(scope="module")
def gateway(compose: Compose) -> str:
    """Its URL, once all of its processes answer and know Redis."""
    url = compose.url("gateway", 8000)
    until(lambda: len(seen(url)) == WORKERS and all(one["redis_connected"] for one in seen(url).values()))
    return url


def seen(url: str) -> dict[int, dict[str, object]]:
    """Worker id -> its health, of those that a few new connections meet."""
    found = {}
    for _ in range(4 * WORKERS):
        try:
            body = httpx.get(f"{url}/health", timeout=5).json()
        except httpx.HTTPError:
            continue
        found[body["worker_id"]] = body
    return found


def circuit(health: dict[str, object], provider: str) -> str:
    providers = health["providers"]
    assert isinstance(providers, list)
    return next(str(one["circuit_state"]) for one in providers if one["name"] == provider)


def test_it_answers_from_the_first_provider(gateway: str) -> None:
    """A chat is answered by the first provider, as the seed shows the answer."""
    answer = httpx.post(f"{gateway}/chat/direct", json=CHAT, timeout=10)

    assert answer.status_code == 200
    assert set(answer.json()) == {"content", "provider", "model", "worker_id", "timestamp"}
    assert answer.json()["provider"] == "openai"


def test_all_processes_learn_through_redis_who_is_down(compose: Compose, gateway: str) -> None:
    """The mock that is told to fail is left out by every process, and the other one answers."""
    control = compose.url("openai", 8100) + "/control"
    httpx.post(control, json={"fail": 500})
    try:
        for _ in range(10):
            answer = httpx.post(f"{gateway}/chat/direct", json=CHAT, timeout=10)
            assert (answer.status_code, answer.json().get("provider")) == (200, "anthropic")
        until(lambda: {circuit(one, "openai") for one in seen(gateway).values()} == {"OPEN"})
    finally:
        httpx.delete(control)
    httpx.post(f"{gateway}/providers/openai/reset", timeout=10)
    until(lambda: {circuit(one, "openai") for one in seen(gateway).values()} == {"CLOSED"})


def test_redis_keeps_an_append_only_file_on_a_volume(compose: Compose) -> None:
    """What Redis was told is on the volume, also after its container is gone."""
    assert "appendonlydir" in compose("exec", "-T", "redis", "ls", "/data")


def test_it_ends_in_its_time(compose: Compose, gateway: str) -> None:
    """`stop` lets every process finish: exit code 0, not a kill after the grace period."""
    compose("stop", "gateway")
    code = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.ExitCode}}", compose("ps", "-q", "gateway")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert code == "0"
