"""`muster report`: write the reports of a stored run again, finished or not."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import EnvironmentFailure
from harness.kinds import UnknownKind

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = 4
UNKNOWN = 6

_EXAMPLE = """\
example:
  muster report artifacts/latest --open
  muster report artifacts/2026-11-20T22-10-03 --report junit=build/junit.xml --report console
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "report",
        help="write the reports of a stored run again",
        description="Write the reports of a run from its directory alone, at any time, cut short or not.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run_dir", metavar="RUN", type=Path, help="a run directory, or one scenario's within it"
    )
    parser.add_argument(
        "--report",
        metavar="NAME[=PATH]",
        action="append",
        default=[],
        help="only this report (repeatable): console, html, json, junit, markdown; default: all but console",
    )
    parser.add_argument("--open", action="store_true", help="open the HTML report in a browser")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the reports and say where they are; 0 whatever the verdict, 4 wrong usage, 6 impossible."""
    from reports import DEFAULT, write_reports

    if not args.run_dir.is_dir():
        return _say(f"there is no run directory {args.run_dir}; `ls artifacts` shows what there is", USAGE)
    wanted = args.report or list(DEFAULT)
    if args.open and not any(entry.partition("=")[0] == "html" for entry in wanted):
        wanted.append("html")
    try:
        written = write_reports(args.run_dir, wanted)
    except UnknownKind as error:
        return _say(error, USAGE)
    except EnvironmentFailure as error:
        return _say(error, UNKNOWN)
    _tell(written)
    if args.open:
        webbrowser.open(written["html"].resolve().as_uri())
    return 0


def _tell(written: Mapping[str, Path]) -> None:
    for name, path in written.items():
        print(path.read_text(encoding="utf-8") if name == "console" else f"{name:<9} {path}")


def _say(error: object, code: int) -> int:
    print(f"muster report: {error}", file=sys.stderr)
    return code
