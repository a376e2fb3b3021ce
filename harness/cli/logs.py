"""`muster logs`: the logs of a run or a standing deployment, merged, coloured by service, followed."""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from harness.errors import Place, Problem, ScenarioError, did_you_mean
from harness.standing import choose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_red", "bright_cyan", "bright_green")
EVERY = 0.1
"""Seconds between two looks when following."""


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "logs", help="the logs of a deployment", epilog="example: muster logs router babysitter-a --follow"
    )
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("--tail", type=int, default=20, metavar="N", help="lines of each to begin with (20)")
    parser.add_argument("--name", default="", help="which deployment; not needed for the only one")
    parser.add_argument("--run", default="", metavar="DIR", help="a scenario's run directory instead")
    parser.add_argument("--run-dir", default="artifacts", metavar="DIR", help="where runs are kept")


def run(arguments: argparse.Namespace) -> int:
    """Print the last lines, oldest file first; follow until Ctrl-C."""
    folder = Path(arguments.run) if arguments.run else _standing_folder(arguments)
    files = _files(folder, arguments.services)
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(path.stem) for path in files)
    colours = dict(zip(files, itertools.cycle(COLOURS), strict=False))
    ends = {path: path.stat().st_size for path in files}
    for path in files:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-arguments.tail :]:
            _print(console, path.stem, line, width, colours[path])
    while arguments.follow:
        for path in files:
            for line in _more(path, ends):
                _print(console, path.stem, line, width, colours[path])
        time.sleep(EVERY)
    return 0


def _standing_folder(arguments: argparse.Namespace) -> Path:
    return choose(Path(arguments.run_dir), arguments.name).run.directory.path


def _files(folder: Path, wanted: Sequence[str]) -> list[Path]:
    found = {path.stem: path for path in sorted(folder.glob("logs/*/*.log"))}
    problems = [
        f"no service called '{name}' has a log.{did_you_mean(name, found)}"
        for name in wanted
        if name not in found
    ]
    if not found:
        problems.append(f"{folder} holds no logs")
    if problems:
        raise ScenarioError([Problem(Place("muster logs"), text) for text in problems])
    return [found[name] for name in wanted] if wanted else list(found.values())


def _more(path: Path, ends: dict[Path, int]) -> Iterator[str]:
    with path.open("rb") as file:
        file.seek(ends[path])
        whole, newline, _ = file.read().rpartition(b"\n")
    ends[path] += len(whole) + len(newline)
    yield from whole.decode("utf-8", "replace").splitlines()


def _print(console: Console, name: str, line: str, width: int, colour: str) -> None:
    console.print(Text.assemble((f"{name:<{width}} | ", colour), line))
