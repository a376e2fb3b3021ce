"""`muster list`: checks, faults, loads, hosts, service kinds, protocols and scenarios, with their options."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.cli import OK
from harness.kind_options import Option, options_of
from harness.kinds import Kinds
from harness.type_words import default_in_words, in_words
from harness.yaml_places import Problems

Entry = dict[str, Any]


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "list",
        help="checks, faults, loads, hosts, service kinds and scenarios, with their options",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Show what scenarios can be made of.",
        epilog="examples: muster list checks\n          muster list kinds --json",
    )
    parser.add_argument("what", nargs="?", choices=tuple(LISTS), help="only these; all of them unless given")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the lists."""
    chosen = [arguments.what] if arguments.what else list(LISTS)
    found = {what: list(LISTS[what]()) for what in chosen}
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(line for what in chosen for line in _section(what, found[what])))
    return OK


def _of_role(module: str, table: str, *, options: bool = True) -> Iterator[Entry]:
    from importlib import import_module

    kinds: Kinds[Any] = getattr(import_module(module), table)
    for name in kinds:
        try:
            about = kinds.about(name).partition("```")[0].strip()
            shown = [_option(option) for option in options_of(kinds[name])] if options else []
        except (ImportError, AttributeError) as error:
            about, shown = f"cannot be loaded: {error}", []
        yield {"name": name, "about": about, "options": shown}


def _option(option: Option) -> Entry:
    default = None if option.required else default_in_words(option.hint, option.default)
    return {
        "name": option.key,
        "takes": in_words(option.hint),
        "required": option.required,
        "default": default,
        "about": option.about,
    }


def _service_kinds() -> Iterator[Entry]:
    from harness.service_kinds import OPTION_TYPES, ServiceKinds

    problems = Problems()
    kinds = ServiceKinds((Path.cwd(), Path.cwd() / "scenarios"), problems)
    for name in kinds:
        kind = kinds.get(name)
        if kind is None:
            yield {"name": name, "about": f"mistaken: {problems.found[-1]}", "options": []}
            continue
        options = [
            {
                "name": key,
                "takes": "a service" if option.type == "service" else in_words(OPTION_TYPES[option.type]),
                "required": option.required,
                "default": kind.defaults[key].plain() if key in kind.defaults else None,
                "about": option.about,
            }
            for key, option in kind.options.items()
        ]
        yield {"name": name, "about": kind.about, "options": options}


def _scenarios() -> Iterator[Entry]:
    from harness.yaml_places import read_yaml, shown_path

    folder = Path("scenarios") if Path("scenarios").is_dir() else Path()
    for path in sorted(folder.rglob("*.scenario.yaml")):
        node = read_yaml(path, Problems())
        stated = node.value if node is not None and node.is_mapping else {}
        title = str(stated["scenario"].value) if "scenario" in stated else "mistaken: see muster plan"
        yield {"name": shown_path(path), "about": title, "options": []}


LISTS: Mapping[str, Callable[[], Iterator[Entry]]] = {
    "checks": lambda: _of_role("harness.checks", "CHECKS"),
    "faults": lambda: _of_role("harness.faults", "FAULTS"),
    "loads": lambda: _of_role("harness.load", "LOADS"),
    "actions": lambda: _of_role("harness.actions", "ACTIONS"),
    "hosts": lambda: _of_role("harness.hosts", "HOSTS", options=False),
    "kinds": _service_kinds,
    "protocols": lambda: _of_role("harness.protocols", "PROTOCOLS", options=False),
    "scenarios": _scenarios,
}


def _section(what: str, entries: list[Entry]) -> Iterator[str]:
    yield what
    for entry in entries:
        yield from _wrapped(f"  {entry['name']}", entry["about"], 4)
        width = max((len(option["name"]) for option in entry["options"]), default=0)
        for option in entry["options"]:
            yield from _option_lines(option, width)
    if not entries:
        yield "  none here"
    yield ""


def _option_lines(option: Entry, width: int) -> Iterator[str]:
    default = "" if option["default"] in (None, "", []) else f"; default {_plain(option['default'])}"
    takes = f"({option['takes']}{'; required' if option['required'] else default})"
    text = " ".join(part for part in (option["about"], takes) if part)
    indent = " " * (width + 8)
    yield textwrap.fill(
        text, 110, initial_indent=f"      {option['name']:<{width}}  ", subsequent_indent=indent
    )


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _wrapped(title: str, text: str, indent: int) -> Iterator[str]:
    yield title
    if text:
        yield textwrap.fill(text, 110, initial_indent=" " * indent, subsequent_indent=" " * indent)
