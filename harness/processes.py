"""Processes as /proc shows them: who lives, who belongs to whom, and signals that cannot hit a stranger.

Linux only. Standard library only and quick to import: the reaper uses it too. A process is known by its pid
and its `born` (start time in clock ticks since boot), because pids are used again.
"""

from __future__ import annotations

import os
import signal as signals
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PROC = "/proc"


class Stat(NamedTuple):
    """One process; `state` is /proc's letter (R, S, D, T, Z, ...), `session` its session leader's pid."""

    pid: int
    born: int
    state: str
    parent: int
    session: int

    @property
    def identity(self) -> tuple[int, int]:
        """What no other process has had since the machine was started."""
        return self.pid, self.born

    @property
    def lives(self) -> bool:
        """False for what is left of a process until its parent takes note (a zombie)."""
        return self.state not in "ZX"


def read_stat(pid: int) -> Stat | None:
    """The process with that pid, zombies included; None when there is none."""
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as file:  # noqa: PTH123  # pathlib is slow to import
            raw = file.read()
    except OSError:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return Stat(pid, int(fields[19]), fields[0].decode(), int(fields[1]), int(fields[3]))


def everyone() -> Iterator[Stat]:
    """All live processes."""
    for name in os.listdir(PROC):  # noqa: PTH208
        if name.isdigit() and (stat := read_stat(int(name))) and stat.lives:
            yield stat


def command(pid: int) -> str:
    """The command line, arguments joined by spaces; empty when it cannot be read."""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def carries(pid: int, labels: Collection[bytes]) -> bool:
    """Whether the environment the process was started with holds all of these `NAME=value`."""
    environment = b"\0" + _read(pid, "environ")
    return all(b"\0" + label + b"\0" in environment for label in labels)


def environment_value(pid: int, name: bytes) -> bytes:
    """The value of a variable in the environment the process was started with; empty when it has none."""
    _, found, rest = (b"\0" + _read(pid, "environ")).partition(b"\0" + name + b"=")
    return rest.partition(b"\0")[0] if found else b""


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"{PROC}/{pid}/{name}", "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def family(labels: Collection[bytes], roots: Collection[tuple[int, int]] = ()) -> list[Stat]:
    """Live processes that carry all labels, are one of `roots` (pid, born), share a root's session, or
    descend from one of these; in the order of their birth.

    Descent and session find those that started with an environment of their own.
    """
    alive = {stat.pid: stat for stat in everyone()}
    known = set(roots)
    sessions = {pid: since for pid, since in roots if pid not in alive or alive[pid].born == since}
    members = {
        stat.pid
        for stat in alive.values()
        if stat.identity in known
        or (stat.session in sessions and stat.born >= sessions[stat.session])
        or carries(stat.pid, labels)
    }
    grown = True
    while grown:
        more = {stat.pid for stat in alive.values() if stat.parent in members} - members
        members |= more
        grown = bool(more)
    return sorted((alive[pid] for pid in members), key=lambda stat: (stat.born, stat.pid))


def is_alive(pid: int, born: int) -> bool:
    """Whether that very process lives (a zombie does not)."""
    stat = read_stat(pid)
    return stat is not None and stat.born == born and stat.lives


def send_signal(pid: int, born: int, signal: int) -> bool:
    """Signal that very process; False when that cannot be: it is gone, or another user's by now."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_alive(pid, born):
            return False
        signals.pidfd_send_signal(handle, signal)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)
    return True
