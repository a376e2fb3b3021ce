"""docker/compose.registry.yaml, started for real: two registries, one Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.docker.composed import Compose, composed, until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SERVICE = {
    "name": "a", "host": "198.18.0.9", "port": 8100, "hostname": "a", "url": "http://198.18.0.9:8100",
    "status": "running", "metadata": {"models": ["m"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    loopback = dict.fromkeys(("REGISTRY_ONE_PORT", "REGISTRY_TWO_PORT"), "127.0.0.1:")
    with composed("compose.registry.yaml", **loopback) as started:
        yield started


def connected(url: str) -> bool | None:
    """Whether a registry has Redis; None while it does not answer."""
    with suppress(httpx.HTTPError):
        return bool(httpx.get(f"{url}/health", timeout=5).json()["store"]["connected"])
    return None


def routed(url: str) -> bool:
    return httpx.get(f"{url}/route?model=m", timeout=5).status_code == 200


def test_two_registries_share_a_table_and_outlive_redis(compose: Compose) -> None:
    """What one knows is routable through the other; Redis is killed, back and empty: still so, in both."""
    one, two = compose.url("one", 18000), compose.url("two", 18000)
    until(lambda: connected(one) is True and connected(two) is True)
    assert httpx.post(f"{one}/services", json=SERVICE, timeout=5).status_code == 201
    until(lambda: routed(two))
    compose("kill", "redis")
    until(lambda: connected(one) is False and connected(two) is False)
    assert routed(one)
    assert routed(two)
    compose("start", "redis")
    until(lambda: connected(one) is True and connected(two) is True)
    assert routed(one)
    assert httpx.delete(f"{two}/services/a", timeout=5).status_code == 200
    until(lambda: not routed(one))


def test_a_registry_is_stopped_without_being_killed(compose: Compose) -> None:
    """`stop` lets it drain: it says so, and its exit code is 0."""
    compose("stop", "two")
    assert "Exit 0" in compose("ps", "two") or "Exited (0)" in compose("ps", "-a", "two")
