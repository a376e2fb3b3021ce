"""What runs on one machine must not share: loopback ranges, and the names of deployments.

A lease is an abstract unix socket named after its range. It is seen by whoever shares the network namespace,
as the loopback itself is, needs no file and no cleaning up: the kernel drops it with its last holder. The
reaper inherits it, so a range is free only when the processes that were bound to it are gone.
"""

from __future__ import annotations

import errno
import random
import socket
from typing import TYPE_CHECKING

from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS: Sequence[str] = [f"127.{a}.{b}" for a in range(100, 116) for b in range(256)]
"""The ranges muster takes addresses from, a /24 each; low ones are left to people and their tools."""

HOSTS_PER_BLOCK = 254

ADDRESSES = "addresses"
DEPLOYMENTS = "deployments"


class AddressLease:
    """One /24 of the loopback; give it back with `release`."""

    def __init__(self, block: str, held: socket.socket) -> None:
        self.block = block
        self._held = held

    def fileno(self) -> int:
        """The descriptor that holds the lease, to be inherited by whoever must hold it too."""
        return self._held.fileno()

    def address(self, number: int) -> str:
        """The address of the deployment's host `number`, counted from 0."""
        return f"{self.block}.{number + 1}"

    def release(self) -> None:
        """Let go; the range is free once nobody else holds it."""
        self._held.close()


def lease_addresses(hosts: int, blocks: Sequence[str] = BLOCKS) -> AddressLease:
    """Lease a range for that many hosts; begins at a random one, so that ranges are seldom used again."""
    if hosts > HOSTS_PER_BLOCK:
        msg = f"process hosts have room for {HOSTS_PER_BLOCK} hosts in a topology, this one has {hosts}"
        raise EnvironmentFailure(msg)
    start = random.randrange(len(blocks)) if blocks else 0
    for block in [*blocks[start:], *blocks[:start]]:
        held = hold(ADDRESSES, block)
        if held is not None:
            return AddressLease(block, held)
    msg = (
        f"all {len(blocks)} loopback ranges are held by other runs: wait for one to end, or see `muster reap`"
    )
    raise EnvironmentFailure(msg)


def hold(what: str, name: str) -> socket.socket | None:
    """Take hold of a name on this machine until the socket is closed; None when somebody else holds it."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0muster/{what}/{name}")
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        msg = f"cannot lease {what} on this machine: {error.strerror}"
        raise EnvironmentFailure(msg) from error
    return held


def is_held(what: str, name: str) -> bool:
    """Whether a run, or the reaper of one, holds that name now."""
    held = hold(what, name)
    if held is None:
        return True
    held.close()
    return False
