"""Which address is registered, and when a word about it is due."""

import pytest

from system.advertising import address_towards, bracketed, reachable_locally, warning_about


@pytest.mark.parametrize(
    ("advertised", "registry", "words"),
    [
        ("10.0.0.5", "10.0.0.1", None),
        ("gpu-3.example", "10.0.0.1", None),
        ("127.0.0.2", "127.0.0.1", None),
        ("localhost", "localhost", None),
        ("localhost", "10.0.0.1", "registering localhost, which on every other machine"),
        ("127.0.0.1", "registry.example", "registering 127.0.0.1, which on every other machine"),
        ("0.0.0.0", "127.0.0.1", "registering 0.0.0.0, to which nobody can connect"),
        ("::", "10.0.0.1", "registering ::, to which nobody can connect"),
    ],
)
def test_addresses_that_others_cannot_use_are_named(
    advertised: str, registry: str, words: str | None
) -> None:
    """A wildcard always, a loopback address unless the registry is on this machine too; with the remedy."""
    warning = warning_about(advertised, registry)

    if words is None:
        assert warning is None
    else:
        assert warning is not None
        assert warning.startswith(words)
        assert "--advertise-host" in warning


def test_the_own_address_towards_a_url_is_found() -> None:
    """Towards loopback it is loopback; towards a name that does not resolve there is none."""
    assert address_towards("http://127.0.0.1:18000") == "127.0.0.1"
    assert address_towards("http://no-such-host.invalid:1") is None


def test_wildcards_are_probed_on_loopback_and_ipv6_is_bracketed() -> None:
    """A backend on all addresses is probed here on loopback, any other at its own."""
    assert [reachable_locally(host) for host in ("0.0.0.0", "::", "10.0.0.5")] == [
        "127.0.0.1",
        "::1",
        "10.0.0.5",
    ]
    assert [bracketed(host) for host in ("::1", "10.0.0.5")] == ["[::1]", "10.0.0.5"]
