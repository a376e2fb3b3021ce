"""docker/compose.gateway.yaml, started for real with mock providers in place of the real ones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.docker.composed import Compose, composed, until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

FILES = ("compose.gateway.yaml", "compose.gateway.mocks.yaml")
WORKERS = 2
CHAT = {"message": "Hello"}


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    loopback = dict.fromkeys(("GATEWAY_PORT", "MOCK_OPENAI_PORT", "MOCK_ANTHROPIC_PORT"), "127.0.0.1:")
    with composed(*FILES, GATEWAY_WORKERS=str(WORKERS), **loopback) as started:
        yield started


@pytest.fixture(scope="module")
def gateway(compose: Compose) -> str:
    """Its URL, once all of its processes answer and know Redis."""
    url = compose.url("gateway", 8000)
    until(lambda: len(seen(url)) == WORKERS, within=90)
    until(lambda: all(one["redis_connected"] for one in seen(url).values()))
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
