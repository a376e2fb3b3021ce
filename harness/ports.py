"""Who holds a TCP port, so that a taken one is named before a service stumbles over it. Linux only."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from harness import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTEN = "0A"


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now; one that listens on all addresses is in the way too."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def holder(address: str, port: int) -> str:
    """Who listens there, in words: `pid 4711 (nginx -g daemon off;)`; says so when that cannot be seen."""
    inodes = set(_listeners(address, port))
    if not inodes and port < 1024 and os.geteuid() != 0:
        return "nobody, but ports below 1024 need root"
    for stat in processes.everyone():
        if inodes & _sockets_of(stat.pid):
            return f"pid {stat.pid} ({processes.command(stat.pid)})"
    return "a process that this user may not see"


def _listeners(address: str, port: int) -> Iterator[str]:
    own = _as_in_proc(address)
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            where, _, at = fields[1].rpartition(":")
            if fields[3] == _LISTEN and int(at, 16) == port and (set(where) == {"0"} or where.endswith(own)):
                yield fields[9]


def _as_in_proc(address: str) -> str:
    return socket.inet_aton(address)[::-1].hex().upper()


def _sockets_of(pid: int) -> set[str]:
    folder = f"/proc/{pid}/fd"
    found = set()
    try:
        for name in os.listdir(folder):  # noqa: PTH208
            link = os.readlink(f"{folder}/{name}")  # noqa: PTH115
            if link.startswith("socket:["):
                found.add(link[8:-1])
    except OSError:
        pass
    return found
