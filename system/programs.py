"""One command for many programs: a table of names, of which only the one asked for is imported."""

import sys
from collections.abc import Mapping
from importlib import import_module

from system.config import did_you_mean


def main(prog: str, about: str, programs: Mapping[str, str], argv: list[str] | None = None) -> int:
    """Run the program named first in argv; `programs` maps a name to `module:attribute`."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if name in ("-h", "--help"):
        print(_usage(prog, about, programs))
        return 0
    if name not in programs:
        problem = (
            f"unknown program {name!r}{did_you_mean(name, list(programs))}" if name else "which program?"
        )
        print(f"{prog}: {problem}\n{_usage(prog, about, programs)}", file=sys.stderr)
        return 2
    from system.component import run

    module, _, attribute = programs[name].partition(":")
    try:
        return run(getattr(import_module(module), attribute), rest, f"{prog} {name}")
    except ModuleNotFoundError as error:
        # an extra bears the name of the program that needs it
        if (error.name or "").partition(".")[0] == module.partition(".")[0]:
            raise
        print(f"{name}: the package {error.name} is missing: pip install 'muster[{name}]'", file=sys.stderr)
        return 2


def _usage(prog: str, about: str, programs: Mapping[str, str]) -> str:
    names = ", ".join(programs)
    return f"usage: {prog} NAME [options]\n{about}\nNAME is one of: {names} (NAME --help says more)"
