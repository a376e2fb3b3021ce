"""`muster down`: end a deployment that `muster up` holds."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFailure
from harness.standing import choose, find_standing

WITHIN = 30.0
"""Seconds it may take to be gone."""


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser("down", help="end a deployment", epilog="example: muster down two-servers")
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="which; not needed for the only one"
    )
    parser.add_argument("--run-dir", default="artifacts", metavar="DIR", help="where runs are kept")


def run(arguments: argparse.Namespace) -> int:
    """Ask its `muster up` to end, and wait until it has."""
    base = Path(arguments.run_dir)
    found = choose(base, arguments.name)
    os.kill(found.pid, signal.SIGTERM)
    until = time.monotonic() + WITHIN
    while any(each.pid == found.pid for each in find_standing(base)):
        if time.monotonic() > until:
            msg = (
                f"{found.name} (pid {found.pid}) did not end within {WITHIN:g} s; kill it, then `muster reap`"
            )
            raise EnvironmentFailure(msg)
        time.sleep(0.05)
    print(f"{found.name} is down")
    return 0
