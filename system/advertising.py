"""Which address a program registers: one that others can reach, or a loud word that they cannot."""

import ipaddress
import socket
from urllib.parse import urlsplit


def is_wildcard(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")


def reachable_locally(host: str) -> str:
    """The address at which this machine itself reaches a server that listens on `host`."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def bracketed(host: str) -> str:
    """A host as a URL holds it."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether an address leads back to the machine that uses it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_towards(url: str) -> str | None:
    """This machine's own address on the way to a URL's host; None without a route. Sends nothing."""
    parts = urlsplit(url)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            parts.hostname, parts.port or 80, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return None


def warning_about(advertised: str, registry_host: str | None) -> str | None:
    """What is wrong with registering an address, and the remedy."""
    remedy = "pass --advertise-host with an address of this machine that the router can reach"
    if is_wildcard(advertised):
        return f"registering {advertised}, to which nobody can connect: {remedy}"
    if is_loopback(advertised) and not is_loopback(registry_host or "localhost"):
        return f"registering {advertised}, which on every other machine is that machine itself: {remedy}"
    return None
