"""Listening: what is said when an address cannot be had."""

import os
import socket

import pytest

from system.errors import StartupError
from system.listening import holder_of, listen, url_of

HOST = "127.77.1.1"


def test_a_free_port_is_listened_on_and_told() -> None:
    """Port 0 takes any; the URL has the real one."""
    with listen(HOST, 0) as listener, socket.create_connection(listener.getsockname()):
        assert url_of(listener) == f"http://{HOST}:{listener.getsockname()[1]}"


def test_an_ipv6_url_has_brackets() -> None:
    """A host with colons is bracketed."""
    with listen("::1", 0) as listener:
        assert url_of(listener, "https") == f"https://[::1]:{listener.getsockname()[1]}"


@pytest.mark.parametrize("wanted", [HOST, "0.0.0.0"])
def test_a_taken_port_names_who_has_it(wanted: str) -> None:
    """The message has the port, the process and the remedy, also when all addresses are asked for."""
    with listen(HOST, 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StartupError) as refused:
            listen(wanted, port)

    assert f"port {port} on {wanted} is taken by pid {os.getpid()} (" in str(refused.value)
    assert "stop it or choose another --port" in str(refused.value)


def test_a_listener_on_another_address_is_not_blamed() -> None:
    """Two hosts on one machine may use the same port; only who stands in the way is named."""
    with listen("127.77.1.2", 0) as listener:
        port = listener.getsockname()[1]

        assert holder_of("127.77.1.3", port) == ""
        assert holder_of("127.77.1.2", port).startswith(f"pid {os.getpid()} ")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", "192.0.2.1 is not an address of this machine; --host takes one that is"),
        ("no-such-host.invalid", "cannot listen on no-such-host.invalid: "),
    ],
)
def test_an_address_of_nobody_here_is_said_so(host: str, words: str) -> None:
    """A foreign address and a name that does not resolve are told with what --host takes."""
    with pytest.raises(StartupError, match="^" + words):
        listen(host, 0)
