"""The reaper: a small program that outlives the harness and removes what a killed one left, and nothing else.

`python -I -S reaper.py JOURNAL HARNESS_PID` is started, in a session of its own, before anything else is.
Its standard input is one end of a socket pair whose other end only the harness holds, so however the harness
ends, the reaper hears of it. A `d` (done) before that end means that nothing is left. The lease on the
deployment's addresses comes in as an open descriptor and is let go when the reaper ends, not earlier.

Standard library only. What can be reaped is a `Kind` in `KINDS`; the journal says which ones a run uses.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Protocol

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

from harness import processes
from harness.journal import Journal, Journaled, boot, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READY = b"r"
DONE = b"d"
PATIENCE = 3600.0
"""Seconds the reaper goes on for when something resists, or its engine is down."""


SETTLED: Mapping[str, float] = {"docker": 3.0}
"""Seconds for which nothing of a kind may have been seen: what was asked of an engine by a harness that is
dead may come into being a while later."""


class Kind(Protocol):
    """One kind of thing that a run can leave behind."""

    def find(self) -> Sequence[str]:
        """What is there now and belongs to the deployment, in words; what cannot be asked counts as there."""

    def remove(self) -> None:
        """Remove what `find` found last."""


class Processes:
    """Processes that carry the deployment's label, or were journaled, with their descendants and sessions."""

    def __init__(self, journal: Journaled) -> None:
        self._label = journal.label
        self._known = set(journal.processes) if journal.boot == boot() else set()
        self._found: Sequence[processes.Stat] = ()

    def find(self) -> Sequence[str]:
        self._found = processes.family((self._label,), self._known)
        self._known.update(stat.identity for stat in self._found)
        return [f"pid {stat.pid} ({processes.command(stat.pid)})" for stat in self._found]

    def remove(self) -> None:
        for stat in self._found:
            processes.send_signal(stat.pid, stat.born, signal.SIGKILL)


def _containers(journal: Journaled) -> Kind:
    from harness.containers import Containers  # http.client takes 30 ms to import
    from harness.engine_place import LOCAL, EnginePlace

    return Containers(EnginePlace(*(journal.engine or LOCAL)), journal.deployment)


KINDS: Mapping[str, Callable[[Journaled], Kind]] = {"process": Processes, "docker": _containers}


def look(journal: Journaled) -> list[str]:
    """What there is of a deployment now, in words."""
    return [thing for kind in _kinds(journal) for thing in kind.find()]


def _kinds(journal: Journaled) -> list[Kind]:
    return [KINDS[name](journal) for name in journal.kinds if name in KINDS]


def reap(journal: Journaled, patience: float, settled: float = 0.0) -> tuple[list[str], list[str]]:
    """Remove all that a deployment left; what was removed, and what still resists after `patience` seconds.

    Ends after two looks in a row that find nothing, what the first came too early for the second sees, and
    when nothing was seen for `settled` seconds.
    """
    kinds = _kinds(journal)
    seen: dict[str, None] = {}
    last_seen = time.monotonic()
    until = last_seen + patience
    clean, pause = 0, 0.01
    left: list[str] = []
    while clean < 2 or time.monotonic() < last_seen + settled:
        left = [thing for kind in kinds for thing in kind.find()]
        seen.update(dict.fromkeys(left))
        clean = 0 if left else clean + 1
        if left:
            last_seen = time.monotonic()
            if last_seen > until:
                break
        for kind in kinds:
            kind.remove()
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0) if left else 0.05
    return [thing for thing in seen if thing not in left], left


def wait_for_end(tie: socket.socket, harness: int) -> bool:
    """Wait until the harness is done (True) or gone without having said so (False)."""
    poll = select.poll()
    poll.register(tie, select.POLLIN)
    try:
        poll.register(os.pidfd_open(harness), select.POLLIN)
    except OSError:
        return False
    if os.getppid() != harness:
        return False
    poll.poll()
    tie.settimeout(0)
    try:
        return tie.recv(1) == DONE
    except OSError:
        return False


def main(arguments: Sequence[str]) -> int:
    """Wait for the harness's end, then tidy; the exit code is 1 when something could not be removed."""
    path, harness = arguments[0], int(arguments[1])
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    tie = socket.socket(fileno=os.dup(0))
    try:
        tie.send(READY)
        if wait_for_end(tie, harness):
            return 0
    except OSError:
        pass
    journal = read_journal(path)
    removed, left = reap(
        journal, PATIENCE, max((SETTLED.get(kind, 0.0) for kind in journal.kinds), default=0.0)
    )
    record = Journal(path)
    record.note({"reaped": removed, "left": left} | ({} if left else {"clean": True}))
    record.close()
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
