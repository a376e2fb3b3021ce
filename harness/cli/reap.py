"""`muster reap`: remove what dead runs left on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from harness import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.leftovers import Leftovers

OK, UNKNOWN = 0, 6

_ABOUT = """\
Remove what runs left behind that could not end properly. Normally there is nothing to do: a run tidies up
after itself, and a reaper does so when it is killed. What a run that is going on owns is never touched."""

_EXAMPLE = """\
examples:
  muster reap --dry-run            what dead runs left on this machine
  muster reap                      remove it
  muster reap artifacts/latest     remove what that run left
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "reap",
        help="remove what dead runs left",
        description=_ABOUT,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("run_dir", metavar="RUN_DIR", nargs="?", type=Path, help="only what this run left")
    which.add_argument("--all", action="store_true", help="what any dead run left here (the default)")
    parser.add_argument("--dry-run", action="store_true", help="show it, remove nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command: exit code 6 when something could not be removed."""
    folder: Path | None = arguments.run_dir
    deployments = leftovers.of_machine() if folder is None else leftovers.of_run(folder)
    found = leftovers.remove(deployments, pretend=arguments.dry_run)
    if arguments.json:
        print(json.dumps([each._asdict() for each in found], indent=1))
    else:
        for line in _lines(found, pretend=arguments.dry_run):
            print(line)
    return UNKNOWN if any(each.left for each in found) and not arguments.dry_run else OK


def _lines(found: Sequence[Leftovers], *, pretend: bool) -> Iterator[str]:
    for each in found:
        for thing in each.removed:
            yield f"removed {thing}, left by run {each.run}"
        for thing in each.left:
            yield f"{'would remove' if pretend else 'could not remove'} {thing}, left by run {each.run}"
    if not found:
        yield "nothing was left behind"
