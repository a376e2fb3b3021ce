"""The `muster` command: one module per subcommand, imported when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from harness.errors import MusterError, ScenarioError, did_you_mean

OK, FAILED, MISTAKEN, NOTHING_RAN, UNKNOWN, INTERRUPTED = 0, 1, 4, 5, 6, 130
"""Exit codes, the same in pytest where pytest leaves the choice."""

COMMANDS: Mapping[str, str] = {
    "run": "run scenarios and judge them",
    "up": "bring a topology up and stay, with a live view",
    "ps": "the deployments that stand, and how their services are",
    "logs": "the logs of a deployment, merged and followed",
    "shell": "a shell where a service of a deployment runs",
    "down": "end a deployment that `muster up` holds",
    "doctor": "what this machine can do, and how to get the rest",
    "plan": "everything that can be said about a scenario without starting it",
    "list": "checks, faults, loads, hosts, service kinds and scenarios, with their options",
    "report": "write the reports of a run again, from its run directory",
    "schema": "the JSON Schema of scenario files, for editors",
    "new": "write a small scenario to begin with",
    "reap": "remove what a run left behind when the machine lost power",
}

_EXAMPLES = """examples:
  muster run scenarios/discovery/two_servers.scenario.yaml
  muster run scenarios/discovery/two_servers.scenario.yaml --attach 10.0.0.5
  muster plan scenarios/discovery/two_servers.scenario.yaml

exit codes: 0 all passed, 1 something failed, 4 wrong usage or a mistaken scenario, 5 nothing ran,
6 nothing failed but something is unknown, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Wrong usage is exit code 4 in muster, with one line that says what is wrong."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and leave."""
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        raise SystemExit(MISTAKEN)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = [*(sys.argv[1:] if argv is None else argv)]  # `list` is harness.cli.list, once that is imported
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_overview())
        return OK if words else MISTAKEN
    if words[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"muster {version('muster')}\n")
        return OK
    if words[0] not in COMMANDS:
        sys.stderr.write(f"muster: there is no command '{words[0]}'.{did_you_mean(words[0], COMMANDS)}\n")
        return MISTAKEN
    return _dispatch(words)


def _dispatch(words: Sequence[str]) -> int:
    parser = Parser(prog="muster")
    module = import_module(f"harness.cli.{words[0]}")
    module.add(parser.add_subparsers(dest="command", parser_class=Parser))
    arguments = parser.parse_args(words)
    try:
        return int(module.run(arguments))
    except ScenarioError as error:
        sys.stderr.write(f"{error}\n")
        return MISTAKEN
    except MusterError as error:
        sys.stderr.write(f"muster: {error}\n")
        return UNKNOWN
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return OK


def _overview() -> str:
    commands = "\n".join(f"  {name:<8} {about}" for name, about in COMMANDS.items())
    return f"usage: muster COMMAND ...\n\ncommands (each has --help):\n{commands}\n\n{_EXAMPLES}"
