"""Which endpoint a worker registers, and what is wrong with it if something is."""

from urllib.parse import urlsplit

from system.advertising import address_towards, bracketed, is_loopback, is_wildcard
from system.errors import UsageError


def endpoint(advertise: str, host: str, port: int, registry_url: str) -> str:
    """What `--advertise` says, else --host, else this machine's address towards the registry."""
    if advertise:
        return _checked(advertise, port)
    if not is_wildcard(host):
        return f"{bracketed(host)}:{port}"
    if is_loopback(urlsplit(registry_url).hostname or ""):
        return f"localhost:{port}"
    return f"{bracketed(address_towards(registry_url) or 'localhost')}:{port}"


def warning(registered: str, registry_url: str) -> str | None:
    """Why others may not reach the registered endpoint, and the remedy."""
    host = registered.rpartition(":")[0].strip("[]")
    remedy = "pass --advertise HOST:PORT with an address of this machine that clients can reach"
    if is_wildcard(host):
        return f"registering {registered}, to which nobody can connect: {remedy}"
    if is_loopback(host) and not is_loopback(urlsplit(registry_url).hostname or "localhost"):
        return f"registering {registered}, which on every other machine is that machine itself: {remedy}"
    return None


def _checked(advertise: str, port: int) -> str:
    host, colon, number = advertise.rpartition(":")
    if not colon:
        return f"{advertise}:{port}"
    if not host or not number.isdecimal():
        raise UsageError([f"--advertise {advertise!r} must be HOST:PORT, such as server2:50051"])
    return advertise
