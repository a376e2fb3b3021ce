"""The network of a deployment: a bridge of its own, from a range that nothing on the machine uses."""

from __future__ import annotations

import ipaddress
import random
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.hosts.engine import Engine

RANGES = [f"198.{a}.{b}" for a in (18, 19) for b in range(256)]
"""What networks are made of, a /24 each: reserved for benchmarks, so they clash with nobody's. The engine
lets none be used twice, whoever asks for it: that is the lease."""
_ROUTES = Path("/proc/net/route")


async def make_network(engine: Engine, name: str, labels: Mapping[str, str]) -> str:
    """A bridge of its own, from a range that neither this machine nor its engine uses; returns the range."""
    from docker.types import IPAMConfig, IPAMPool

    free = unrouted(RANGES, _routes() if engine.named.is_here else "")
    for block in random.sample(free, len(free)):
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{block}.0/24", gateway=f"{block}.1")])
        create = engine.api.create_network
        try:
            await engine.call(create, name, driver="bridge", ipam=ipam, labels=dict(labels))
        except EnvironmentFailure as error:
            if "overlaps" not in str(error):
                raise
        else:
            return block
    msg = (
        "no range of 198.18.0.0/15 is left for another network; "
        "see `muster reap`, `docker network prune` and `ip route`"
    )
    raise EnvironmentFailure(msg)


def is_here(block: str) -> bool:
    """Whether the bridge of a range is an interface of this machine, which then reaches all on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.bind((f"{block}.1", 0))
        return True
    return False


def unrouted(blocks: Sequence[str], routes: str) -> list[str]:
    """The ranges that no route leads to, going by the text of /proc/net/route; the default route is none."""
    taken = [route for line in routes.splitlines()[1:] if (route := _route(line)).prefixlen]
    networks = {block: ipaddress.IPv4Network(f"{block}.0/24") for block in blocks}
    return [
        block for block, network in networks.items() if not any(route.overlaps(network) for route in taken)
    ]


def _route(line: str) -> ipaddress.IPv4Network:
    columns = line.split()
    address, mask = (ipaddress.IPv4Address(int(columns[n], 16).to_bytes(4, "little")) for n in (1, 7))
    return ipaddress.IPv4Network(f"{address}/{mask}", strict=False)


def _routes() -> str:
    try:
        return _ROUTES.read_text("ascii")
    except OSError:
        return ""
