"""`muster schema`: JSON Schemas of scenario, topology and kind files, for editors and for other tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness.cli import FAILED, OK
from harness.errors import EnvironmentFailure
from harness.yaml_places import Problems

SORTS = ("scenario", "topology", "kind")


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "schema",
        help="the JSON Schema of scenario files, for editors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Print a schema, or write all three; service kinds in ./scenarios/kinds are part of it.",
        epilog="example: muster schema --write scenarios\n"
        "then begin a scenario with: # yaml-language-server: $schema=scenario.schema.json",
    )
    parser.add_argument("sort", nargs="?", choices=SORTS, default="scenario", help="which one to print")
    parser.add_argument("--write", metavar="DIR", nargs="?", const="scenarios", help="write all (scenarios)")
    parser.add_argument("--check", metavar="DIR", nargs="?", const="scenarios", help="exit 1 if any is stale")


def run(arguments: argparse.Namespace) -> int:
    """Print, write or compare."""
    from harness.schema import texts
    from harness.service_kinds import ServiceKinds

    problems = Problems()
    written = texts(ServiceKinds((Path.cwd() / "scenarios",), problems))
    problems.raise_if_any()
    if arguments.check:
        return _check(Path(arguments.check), written)
    if arguments.write:
        return _write(Path(arguments.write), written)
    sys.stdout.write(written[f"{arguments.sort}.schema.json"])
    return OK


def _check(folder: Path, written: dict[str, str]) -> int:
    stale = [folder / name for name, text in written.items() if not _is(folder / name, text)]
    for path in stale:
        print(f"stale: {path}")
    if stale:
        print(f"renew with: muster schema --write {folder}")
    return FAILED if stale else OK


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _write(folder: Path, written: dict[str, str]) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            (folder / name).write_text(text, encoding="utf-8")
            print(f"written: {folder / name}")
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}"
        raise EnvironmentFailure(msg) from error
    return OK
