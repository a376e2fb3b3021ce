"""The journal of a deployment: what it is about to create, on disk before it does.

So that any end can be tidied up after. Lines of JSON, the first of which says whose they are. Standard
library only: the reaper reads it too.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "journal.jsonl"
RUN = "MUSTER_RUN"
DEPLOYMENT = "MUSTER_DEPLOYMENT"
SERVICE = "MUSTER_SERVICE"
"""Variables that every process of a deployment carries in its environment."""


class Journaled(NamedTuple):
    """A journal as read back. `harness` and `processes` are (pid, born), meaningful until the next boot;
    `engine` is the place of the container engine it uses, if any.
    """

    run: str
    deployment: str
    kinds: tuple[str, ...]
    boot: str
    harness: tuple[int, int]
    processes: tuple[tuple[int, int], ...]
    clean: bool
    engine: tuple[str, str, bool] | None = None

    @property
    def label(self) -> bytes:
        """What the environment of this deployment's processes holds."""
        return f"{DEPLOYMENT}={self.deployment}".encode()


class Journal:
    """A journal being written. `OSError` when that is not possible."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def begin(
        self,
        *,
        run: str,
        deployment: str,
        kinds: Sequence[str],
        harness: tuple[int, int],
        engine: tuple[str, str, bool] | None = None,
    ) -> None:
        """Say whose journal this is, and of which kinds its things will be."""
        head = {
            "run": run,
            "deployment": deployment,
            "kinds": list(kinds),
            "boot": boot(),
            "harness": harness,
        }
        self.intend(head | ({"engine": engine} if engine else {}))

    def intend(self, entry: dict[str, Any]) -> None:
        """Write an entry that must outlive a power cut: on disk when this returns."""
        self.note(entry)
        os.fsync(self._file)

    def note(self, entry: dict[str, Any]) -> None:
        """Write an entry that need only outlive the harness."""
        os.write(self._file, json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def read_journal(path: str) -> Journaled:
    """Read a journal; a last line that was cut off is left out. ValueError when it has no first line."""
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # pathlib is slow to import
        entries = [entry for entry in map(_entry, file) if entry]
    if not entries or "deployment" not in entries[0]:
        msg = f"{path} does not say whose journal it is"
        raise ValueError(msg)
    head = entries[0]
    return Journaled(
        run=head["run"],
        deployment=head["deployment"],
        kinds=tuple(head["kinds"]),
        boot=head["boot"],
        harness=(head["harness"][0], head["harness"][1]),
        processes=tuple((e["pid"], e["born"]) for e in entries if "pid" in e),
        clean=any("clean" in e for e in entries),
        engine=tuple(head["engine"]) if "engine" in head else None,
    )


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def boot() -> str:
    """An id of the time since the machine was started."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
