"""`muster ps`: the deployments that stand, and how their services are."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.cli.up import table_of
from harness.standing import Standing, find_standing
from harness.states import states


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser("ps", help="deployments that stand", epilog="example: muster ps --json")
    parser.add_argument("--run-dir", default="artifacts", metavar="DIR", help="where runs are kept")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print them; none is an answer too."""
    found = find_standing(Path(arguments.run_dir))
    if arguments.json:
        print(json.dumps([_as_json(each) for each in found], indent=1))
        return 0
    console = Console(highlight=False, soft_wrap=True)
    for each in found:
        manifest = each.run.manifest
        console.print(f"[bold]{each.name}[/]  on {manifest.hosts_kind} hosts, pid {each.pid}, {_place(each)}")
        console.print(table_of(each.run.records, time.time() - manifest.started))
    if not found:
        console.print(f"no deployment stands below {arguments.run_dir}")
    return 0


def _place(each: Standing) -> str:
    return str(each.run.directory.path)


def _as_json(each: Standing) -> dict[str, Any]:
    services = [asdict(state) for state in states(each.run.records).values()]
    return {
        "name": each.name,
        "pid": each.pid,
        "hosts": each.run.manifest.hosts,
        "directory": _place(each),
        "services": services,
    }
