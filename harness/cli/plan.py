"""`muster plan`: everything that can be said about a scenario without starting it, all mistakes included."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from harness.cli import MISTAKEN, OK
from harness.errors import Place, Problem, ScenarioError
from harness.plan import Plan, StepPlan, plan


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "plan",
        help="everything that can be said about a scenario without starting it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Show hosts, services, ports, steps, sample sizes and duration; or every mistake.",
        epilog="example: muster plan scenarios/discovery/two_servers.scenario.yaml",
    )
    parser.add_argument("paths", nargs="+", metavar="FILE", help="a *.scenario.yaml, or a folder of them")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a value for {param.NAME}"
    )
    parser.add_argument("--max-requests", type=int, metavar="N", help="what the run will be given")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the plans; all files' mistakes at once."""
    from harness.cli.run import find_scenarios
    from harness.scenario import load_scenario

    params = dict(_assignment(text) for text in arguments.param)
    plans: list[Plan] = []
    problems: list[Problem] = []
    for path in find_scenarios(arguments.paths):
        try:
            scenarios = load_scenario(path, params_override=params)
            plans += [plan(scenario, arguments.max_requests) for scenario in scenarios]
        except ScenarioError as error:
            problems += error.problems
    if arguments.json:
        said = [{"place": str(p.place), "message": p.message} for p in problems]
        print(json.dumps({"scenarios": [p.to_json() for p in plans], "mistakes": said}, indent=1))
    else:
        for one in plans:
            print("\n".join(in_words(one)))
        _tell(problems)
    return MISTAKEN if problems else OK


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ScenarioError([Problem(Place("--param"), f"expected NAME=VALUE, got '{text}'")])
    return name, value


def _tell(problems: Sequence[Problem]) -> None:
    if problems:
        lines = [*map(str, problems), f"{_count(len(problems), 'mistake')}; nothing was started"]
        sys.stderr.write("\n".join(lines) + "\n")


def in_words(shown: Plan) -> Iterator[str]:
    """A plan as lines of text."""
    yield f"{shown.scenario}   ({shown.file})"
    if shown.about:
        yield f"  {shown.about}"
    if shown.params:
        yield "  with " + ", ".join(f"{name} = {value}" for name, value in shown.params.items())
    yield from _hosts(shown)
    yield ""
    yield f"{_count(len(shown.steps) + len(shown.checks), 'step')}"
    for step in shown.steps:
        yield from _step(step)
    if shown.checks:
        yield "  at the end, on everything that happened"
        yield from (f"      expects  {asks}" for step in shown.checks for asks in step.asks)
    yield ""
    yield _duration(shown)
    yield ""


def _hosts(shown: Plan) -> Iterator[str]:
    width = max((len(service.name) for service in shown.services), default=0)
    kinds = max((len(service.kind) for service in shown.services), default=0)
    on = {host: list(services) for host, services in groupby(shown.services, lambda service: service.host)}
    for host in shown.hosts:
        yield f"\n{host}"
        for service in on.get(host, ()):
            ports = ", ".join(map(str, service.ports))
            notes = [f"image {service.image}" if service.image else ""]
            notes.append(f"after {', '.join(service.after)}" if service.after else "")
            told = "  ".join(note for note in (f"ports {ports}" if ports else "", *notes) if note)
            yield f"  {service.name:<{width}}  {service.kind:<{kinds}}  {told}".rstrip()


def _step(step: StepPlan) -> Iterator[str]:
    indent = "  " * (step.level + 1)
    yield f"{indent}{step.name}"
    if step.nothing:
        yield f"{indent}    unknown: {step.nothing}"
    if step.does:
        yield f"{indent}    does     {step.does}"
    if step.load and step.load.requests is not None and step.load.why != "stated":
        yield f"{indent}             {step.load.requests} requests ({step.load.why})"
    yield from (f"{indent}    expects  {asks}" for asks in step.asks)


def _duration(shown: Plan) -> str:
    least = f"takes at least {_time(shown.takes_at_least)} and " if shown.takes_at_least else "takes "
    needed = f"; at least {_count(shown.at_least, 'step')} must be judged" if shown.at_least else ""
    return f"{least}at most {_time(shown.takes_at_most)} once everything is up{needed}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.3g} s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
