"""The stand-in for a worker, beside a real registry."""

import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from system.testing import Running, running

HOST = "127.77.11.1"


@pytest.fixture
def registry() -> Iterator[Running]:
    with running("system", "registry", "--host", HOST, "--port", "0") as started:
        yield started


def listed(registry: Running) -> dict[str, Any]:
    with urllib.request.urlopen(registry.url + "/registry", timeout=2) as answer:
        return {entry["replica_id"]: entry for entry in json.load(answer)["replicas"]}


def replica(registry: Running, *options: str) -> Any:
    return running(
        "mock_services",
        "replica",
        "--host",
        HOST,
        "--registry",
        registry.url,
        "--replica-id",
        "a",
        *options,
    )


def until(condition: Any, within: float = 5.0) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_registered_while_it_runs(registry: Running) -> None:
    """Under its id, with its endpoint and capabilities; and gone when it is stopped."""
    with replica(registry, "--endpoint", "h:1", "--capabilities", '[{"type":"embed"}]') as worker:
        worker.wait_for_line("registered a as h:1, lease")
        assert listed(registry)["a"] == {
            "replica_id": "a",
            "endpoint": "h:1",
            "capabilities": [{"type": "embed"}],
        }
        assert worker.stop() == 0
        until(lambda: not listed(registry))


def test_it_renews_what_it_announced(registry: Running) -> None:
    """With --renew it stays beyond its ttl, is forgotten when it freezes, and comes back when it thaws."""
    with replica(registry, "--renew", "--ttl", "400ms") as worker:
        worker.wait_for_line("registered a")
        worker.signal(signal.SIGSTOP)
        until(lambda: not listed(registry))
        worker.signal(signal.SIGCONT)
        until(lambda: "a" in listed(registry))


def test_it_does_not_fight_for_an_id(registry: Running) -> None:
    """The older of two with one id gives it up and says so."""
    with replica(registry, "--endpoint", "h:1") as older:
        older.wait_for_line("registered a")
        with replica(registry, "--endpoint", "h:2") as newer:
            newer.wait_for_line("registered a")
            older.wait_for_line("a newer registration has the id a: giving it up")
            assert listed(registry)["a"]["endpoint"] == "h:2"


def test_it_registers_again_after_the_registry_restarted() -> None:
    """Without a word from anybody, as soon as there is a registry at that address again."""
    with running("system", "registry", "--host", HOST, "--port", "0") as first:
        port = first.url.rpartition(":")[2]
        with replica(first) as worker:
            worker.wait_for_line("registered a")
            first.process.kill()
            first.wait()
            worker.wait_for_line("no connection to the registry|registering again")
            seen = len(worker.lines)
            with running("system", "registry", "--host", HOST, "--port", port) as second:
                worker.wait_for_line("registered a", after=seen)
                assert "a" in listed(second)


def test_capabilities_that_are_no_list_of_objects_are_refused() -> None:
    """One line says what they should look like."""
    with running("mock_services", "replica", "--capabilities", "chat", ready="") as wrong:
        assert wrong.wait() == 2
        assert "a JSON list of objects" in wrong.output
