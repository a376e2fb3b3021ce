"""Unreachable servers in plain words."""

import errno
import socket
import ssl

import pytest

from harness.diagnosis import (
    explain_status,
    explain_unreachable,
    is_local_only,
    not_reached,
    wrong_addresses,
)

URL = "http://10.0.0.5:18000/health"


def wrapped(cause: BaseException) -> Exception:
    """An error as a client library raises it: the real one is its cause."""
    error = RuntimeError("")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        pytest.param(ConnectionRefusedError(errno.ECONNREFUSED, "no"), "nothing listens there", id="refused"),
        pytest.param(OSError(errno.EHOSTUNREACH, "no"), "no machine answers at that address", id="no host"),
        pytest.param(OSError(errno.ENETUNREACH, "no"), "no network that leads there", id="no network"),
        pytest.param(ConnectionResetError(errno.ECONNRESET, "no"), "accepted and hung up", id="reset"),
        pytest.param(TimeoutError(), "does a firewall let the port through", id="silence"),
        pytest.param(socket.gaierror(-2, "unknown"), "the name '10.0.0.5' is not known here", id="name"),
        pytest.param(ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "check --scheme", id="tls"),
    ],
)
def test_every_way_of_not_answering_says_what_to_check(cause: BaseException, words: str) -> None:
    """The URL, what happened, and the next thing to look at stand in one sentence."""
    text = explain_unreachable(URL, wrapped(cause))
    assert text.startswith(URL)
    assert words in text


def test_a_group_of_attempts_is_explained_by_what_is_in_it() -> None:
    """Clients that try several addresses raise a group; its members tell."""
    group = ExceptionGroup("all failed", [ConnectionRefusedError(errno.ECONNREFUSED, "no")])
    assert "refused the connection" in explain_unreachable(URL, group)


def test_an_unforeseen_error_keeps_its_own_words() -> None:
    """What nobody foresaw is not turned into a wrong guess."""
    assert explain_unreachable(URL, ValueError("odd")) == f"{URL} failed: ValueError: odd"


@pytest.mark.parametrize(
    ("status", "words"), [(401, "--token-file"), (404, "another program"), (500, "answered 500")]
)
def test_a_status_says_what_it_means_here(status: int, words: str) -> None:
    """A token that is wanted and a wrong port are recognised."""
    assert words in explain_status(URL, status)


@pytest.mark.parametrize(
    ("host", "local"),
    [("0.0.0.0", True), ("localhost", True), ("127.0.0.1", True), ("10.0.0.5", False), ("gpu1", False)],
)
def test_addresses_that_mean_something_only_at_home(host: str, local: bool) -> None:
    """Unspecified and loopback addresses are told from real ones; names are given the benefit of the doubt."""
    assert is_local_only(host) is local


def test_a_worker_that_registered_localhost_is_named() -> None:
    """Seen from a registry on another machine, localhost is a mistake."""
    entries = {"good": {"host": "10.0.0.6"}, "bad": {"host": "localhost"}, "worse": {"host": "0.0.0.0"}}
    told = wrong_addresses(entries, "http://10.0.0.5:18000")
    assert [text.split()[0] for text in told] == ["bad", "worse"]
    assert "--advertise-host" in told[0]


def test_loopback_is_fine_where_the_registry_is_on_loopback_too() -> None:
    """Simulated hosts are loopback addresses; only 0.0.0.0 is wrong there."""
    entries = {"fine": {"host": "127.1.2.3"}, "worse": {"host": "0.0.0.0"}}
    assert [text.split()[0] for text in wrong_addresses(entries, "http://127.1.2.1:18000")] == ["worse"]


def test_a_worker_that_only_the_registry_reaches_is_named() -> None:
    """Healthy at the registry, and the router refuses its model, or gives it no request where others serve."""

    def entry(port: int, model: str, *, healthy: bool = True) -> dict[str, object]:
        return {"healthy": healthy, "models": [model], "url": f"http://10.0.0.6:{port}"}

    services = {
        "x": entry(1, "m1"),
        "y": entry(2, "m1"),
        "z": entry(3, "m2"),
        "ill": entry(4, "m2", healthy=False),
        "rare": entry(5, "m3"),
    }
    told = not_reached(services, {"m1": 20, "m2": 10, "m3": 9}, {"m2": 10}, {"x"})
    assert [text.partition(" is healthy")[0] for text in told] == ["y", "z"]
    assert (
        "it served none of 20 requests for m1: can the router's machine reach http://10.0.0.6:2?" in told[0]
    )
    assert "all 10 requests for m2 were refused" in told[1]
    assert told[0].endswith("#registry-seen-but-worker-not-reachable)")
