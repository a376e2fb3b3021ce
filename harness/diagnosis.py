"""Plain words for the ways in which servers cannot be reached; headings of docs/troubleshooting.md.

Everything here is a pure function: an exception or a registry's entry in, a sentence and a remedy out.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

GUIDE = "docs/troubleshooting.md"

ENOUGH = 10
"""Requests for a model, after which a service that has it and served none is a symptom."""

_BY_ERRNO = {
    errno.ECONNREFUSED: (
        "refused the connection",
        "the machine answers but nothing listens there: is the program started, and is the port right?",
        "wrong-address",
    ),
    errno.EHOSTUNREACH: (
        "has no route",
        "no machine answers at that address: is the address right, and is the machine up?",
        "wrong-address",
    ),
    errno.ENETUNREACH: (
        "has no route",
        "this machine has no network that leads there: is the address right?",
        "wrong-address",
    ),
    errno.ETIMEDOUT: (
        "did not answer",
        "is the address right, the machine up, and does a firewall let the port through?",
        "firewall",
    ),
    errno.ECONNRESET: (
        "closed the connection",
        "something accepted and hung up: another program on that port, or https where http was meant",
        "wrong-address",
    ),
}


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and everything it came from."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from causes(inner)
        error = error.__cause__ or error.__context__


def explain_unreachable(url: str, error: BaseException) -> str:
    """Which URL did not answer, how, and what to check."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, socket.gaierror):
            name = urlsplit(url).hostname
            return f"{url}: the name '{name}' is not known here; check its spelling or use the address"
        if isinstance(cause, ssl.SSLError):
            return (
                f"{url}: TLS failed ({cause.strerror or cause}); check --scheme and the server's certificate"
            )
        if isinstance(cause, OSError) and cause.errno in _BY_ERRNO:
            what, remedy, anchor = _BY_ERRNO[cause.errno]
            return f"{url} {what}: {remedy} ({GUIDE}#{anchor})"
    if any("timeout" in type(cause).__name__.lower() for cause in chain):
        what, remedy, anchor = _BY_ERRNO[errno.ETIMEDOUT]
        return f"{url} {what} in time: {remedy} ({GUIDE}#{anchor})"
    text = next((str(cause) for cause in chain if str(cause)), "")
    return f"{url} failed: {type(error).__name__}{': ' + text if text else ''}"


def explain_status(url: str, status: int) -> str:
    """What a status that is not 2xx means for somebody who validates servers."""
    remedies = {
        401: "it wants a token: pass --token-file FILE",
        403: "the token is not allowed there: pass another --token-file FILE",
        404: "another program may listen on that port: check address and port",
    }
    return f"{url} answered {status}" + (f": {remedies[status]}" if status in remedies else "")


def is_local_only(host: str) -> bool:
    """Whether an address means something only on the machine that registered it."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_loopback


def is_unusable(host: str) -> bool:
    """Whether an address can be connected to from nowhere else, wherever the registry is."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def wrong_addresses(services: Mapping[str, Any], registry_url: str) -> list[str]:
    """Sentences for entries whose registered address others cannot reach (the commonest real mistake)."""
    registry_is_local = is_local_only(urlsplit(registry_url).hostname or "")
    found = []
    for name, entry in sorted(services.items()):
        host = str(entry.get("host", ""))
        if is_unusable(host) or (is_local_only(host) and not registry_is_local):
            found.append(
                f"{name} is registered at {host}, which no other machine can reach: start it with the "
                f"address of its server (--advertise-host ADDRESS) ({GUIDE}#0000-or-localhost-registered)"
            )
    return found


def not_reached(
    services: Mapping[str, Any], asked: Mapping[str, int], refused: Mapping[str, int], served: Collection[str]
) -> list[str]:
    """Sentences for entries that are healthy at the registry and get no request through the router.

    `asked` and `refused`: model -> how many requests for it were sent, and how many of them a router refused
    for want of a backend. `served`: the names that served any.
    """
    found = []
    for name, entry in sorted(services.items()):
        models = [model for model in entry.get("models", ()) if asked.get(model, 0) >= ENOUGH]
        if not entry.get("healthy") or name in served or not models:
            continue
        model = models[0]
        how = (
            f"all {asked[model]} requests for {model} were refused"
            if refused.get(model) == asked[model]
            else f"it served none of {asked[model]} requests for {model}"
        )
        found.append(
            f"{name} is healthy at the registry, and {how}: "
            f"can the router's machine reach {entry.get('url')}? "
            f"({GUIDE}#registry-seen-but-worker-not-reachable)"
        )
    return found
