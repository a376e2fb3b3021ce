"""`muster doctor`: what this machine can do, and how to get the rest."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from harness.errors import EnvironmentFailure

FREE = 1 << 30
"""Bytes of disk below which a run may not fit."""
OPEN_FILES = 1024
"""Open files below which a larger load fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: whether it is well, what was seen, and what to do where it is not."""

    what: str
    well: bool
    seen: str
    remedy: str = ""


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "doctor", help="what this machine can do", epilog="example: muster doctor --json"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Look at everything; exit code 6 when not even process hosts can be had."""
    findings = {name: look() for name, look in LOOKS.items()}
    if arguments.json:
        print(json.dumps({name: asdict(found) for name, found in findings.items()}, indent=1))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for found in findings.values():
            mark = "[green]ok[/]     " if found.well else "[yellow]missing[/]"
            console.print(f"{mark}  {found.what:<16} {escape(found.seen)}")
            if not found.well:
                console.print(f"                          {escape(found.remedy)}")
    return 0 if all(findings[name].well for name in NEEDED) else 6


def _python() -> Finding:
    version = sys.version.split()[0]
    return Finding(
        what="Python", well=sys.version_info >= (3, 11), seen=version, remedy="install Python 3.11 or newer"
    )


def _process_hosts() -> Finding:
    linux = sys.platform == "linux" and hasattr(os, "pidfd_open")
    try:
        with socket.socket() as probe:
            probe.bind(("127.64.0.1", 0))
    except OSError as error:
        return Finding(
            what="process hosts",
            well=False,
            seen=f"127.64.0.1 cannot be bound: {error.strerror}",
            remedy="use --hosts docker",
        )
    seen = "loopback addresses 127.64.0.0 to 127.127.255.255" if linux else sys.platform
    return Finding(
        what="process hosts", well=linux, seen=seen, remedy="they need Linux 5.3 or newer; use --hosts docker"
    )


def _docker_hosts() -> Finding:
    from harness.hosts.engine import connect

    async def ask() -> str:
        engine = await connect()
        try:
            found = await engine.call(engine.api.version)
        finally:
            engine.close()
        return f"Docker Engine {found.get('Version')} at {engine.url}"

    try:
        return Finding(what="docker hosts", well=True, seen=asyncio.run(ask()))
    except EnvironmentFailure as error:
        return Finding(
            what="docker hosts",
            well=False,
            seen=str(error),
            remedy="on Debian or Ubuntu, as root: docker/engine.sh",
        )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding(
        what="disk",
        well=free >= FREE,
        seen=f"{free / FREE:.0f} GiB free here",
        remedy="free some, or use --run-dir elsewhere",
    )


def _open_files() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding(
        what="open files",
        well=soft >= OPEN_FILES,
        seen=f"{soft} (at most {hard})",
        remedy=f"ulimit -n {min(hard, 20_000)}",
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding(
        what="cores", well=cores >= 2, seen=str(cores), remedy="everything works on one, more slowly"
    )


LOOKS: Mapping[str, Callable[[], Finding]] = {
    "python": _python,
    "process": _process_hosts,
    "docker": _docker_hosts,
    "disk": _disk,
    "open_files": _open_files,
    "cores": _cores,
}
NEEDED = ("python", "process", "disk")
