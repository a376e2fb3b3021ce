"""What a run has left on this machine: processes that carry its label, or live in its folder."""

import time
from pathlib import Path

from harness.journal import RUN
from tests.end_to_end.commands import manifests_in


def left_of(run_dir: Path) -> list[str]:
    """The command lines of processes that belong to the runs recorded in a folder, their guards included."""
    labels = [f"{RUN}={manifest['run']}".encode() for manifest in manifests_in(run_dir)]
    marks = [*labels, str(run_dir).encode()]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = [(process / name).read_bytes() for name in ("environ", "cmdline")]
            told.append(str((process / "cwd").readlink()).encode())
        except OSError:
            continue
        command = told[1].replace(b"\0", b" ").decode(errors="replace").strip()
        if command and any(mark in text for mark in marks for text in told):
            found.append(f"{process.name} {command}")
    return found


def nothing_left_within(seconds: float, run_dir: Path) -> list[str]:
    """Waits until nothing is left, or time is up; returns what is."""
    until = time.monotonic() + seconds
    while (found := left_of(run_dir)) and time.monotonic() < until:
        time.sleep(0.05)
    return found
