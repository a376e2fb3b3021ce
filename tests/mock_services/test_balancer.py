"""The stand-in for a load balancer."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from system.testing import Running, running

HOST = "127.77.1.7"
CHAT = {"model": "model-1", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
def mocks() -> Iterator[list[Running]]:
    with ExitStack() as stack:
        start = ("mock_services", "openai", "--host", HOST, "--port", "0", "--name")
        yield [stack.enter_context(running(*start, name)) for name in ("one", "two")]


@pytest.fixture
def balancer(mocks: list[Running]) -> Iterator[Running]:
    targets = ",".join(mock.url for mock in mocks)
    with running(
        "mock_services", "balancer", "--host", HOST, "--port", "0", "--targets", targets
    ) as balancer:
        yield balancer


def served(balancer: Running) -> str:
    return httpx.get(f"{balancer.url}/health").headers["x-served-by"]


def test_connections_take_turns(balancer: Running) -> None:
    """Each connection goes to the next target; requests on one connection stay where they are."""
    assert [served(balancer) for _ in range(4)] == ["one", "two", "one", "two"]
    with httpx.Client() as client:
        kept = {client.get(f"{balancer.url}/health").headers["x-served-by"] for _ in range(3)}
    assert len(kept) == 1


def test_who_does_not_accept_is_passed_over(mocks: list[Running], balancer: Running) -> None:
    """While one target is down, the other gets all connections; when both are, a connection just ends."""
    mocks[0].stop()
    assert {served(balancer) for _ in range(3)} == {"two"}

    mocks[1].stop()
    with pytest.raises(httpx.RemoteProtocolError):
        served(balancer)
    balancer.wait_for_line("no target accepts")


def test_what_a_target_drops_is_dropped(mocks: list[Running], balancer: Running) -> None:
    """A stream that its target breaks off ends there; no other target is asked for the rest."""
    for mock in mocks:
        httpx.post(f"{mock.url}/control", json={"break_stream": 2})

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{balancer.url}/v1/chat/completions", json={**CHAT, "stream": True})
    assert [httpx.get(f"{mock.url}/record").json()["requests"] for mock in mocks] == [1, 0]


def test_it_ends_clean(balancer: Running) -> None:
    """SIGTERM ends it with 0."""
    assert balancer.stop(within=3) == 0
