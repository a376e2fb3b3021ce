"""`muster run`: the same runner as pytest's, without pytest."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifacts import claim, make_run_directory
from harness.cli import FAILED, INTERRUPTED, NOTHING_RAN, OK, UNKNOWN
from harness.cli.progress import Progress
from harness.errors import Place, Problem, ScenarioError, did_you_mean
from harness.invocation import Invocation, params_of
from harness.runner import run as run_scenario
from harness.steps import walk
from harness.verdict import Status, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model import Scenario

SUFFIX = ".scenario.yaml"
_CODES = {Status.PASS: OK, Status.FAIL: FAILED, Status.UNKNOWN: UNKNOWN, Status.NOT_APPLICABLE: NOTHING_RAN}


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "run",
        help="run scenarios and judge them",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Bring a scenario's topology up, disturb it, judge it, report.",
        epilog="example: muster run scenarios/discovery/two_servers.scenario.yaml --attach 10.0.0.5",
    )
    parser.add_argument("paths", nargs="+", metavar="FILE", help="a *.scenario.yaml, or a folder of them")
    parser.add_argument(
        "-k", dest="only", default="", metavar="TEXT", help="judge only steps whose names hold TEXT"
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where and how; `harness.plugin` has the same for pytest."""
    option = parser.add_argument
    option(
        "--hosts",
        default="auto",
        metavar="KIND",
        help="where hosts come from: auto, docker, process, attached",
    )
    option("--attach", action="append", default=[], metavar="ADDRESS|NAME=URL", help="judge running servers")
    option("--inventory", default="", metavar="FILE", help="real servers: a topology with addresses")
    option("--registry-port", type=_port, default=18000, metavar="PORT", help="attached: default 18000")
    option("--router-port", type=_port, default=8000, metavar="PORT", help="attached: default 8000")
    option("--scheme", choices=("http", "https"), default="http", help="attached: how to talk to them")
    option("--token-file", default="", metavar="FILE", help="file with the bearer token of attached servers")
    option("--expect-services", type=_positive, metavar="N", help="at least N services must serve models")
    option(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a scenario's parameter; repeatable",
    )
    option("--max-requests", type=_positive, metavar="N", help="at most N requests a load (attached: 200)")
    option("--keep", action="store_true", help="leave the deployment standing until Ctrl-C or `muster down`")
    option("--run-dir", default="", metavar="DIR", help="where runs are kept (default: artifacts/)")
    option(
        "--report", action="append", default=[], metavar="NAME[=PATH]", help="a report to write; repeatable"
    )


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        msg = f"'{text}' is not a number above 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def _port(text: str) -> int:
    number = _positive(text)
    if number > 65535:
        msg = f"'{text}' is not a port (1 to 65535)"
        raise argparse.ArgumentTypeError(msg)
    return number


def invocation_of(arguments: argparse.Namespace) -> Invocation:
    """The options as the rest of the harness knows them."""
    return Invocation(
        hosts=arguments.hosts,
        attach=tuple(arguments.attach),
        inventory=arguments.inventory,
        registry_port=arguments.registry_port,
        router_port=arguments.router_port,
        scheme=arguments.scheme,
        token_file=arguments.token_file,
        expect_services=arguments.expect_services,
        max_requests=arguments.max_requests,
        params=params_of(arguments.param),
        keep=arguments.keep,
        run_dir=arguments.run_dir,
        reports=tuple(arguments.report),
    )


def find_scenarios(paths: Sequence[str]) -> list[Path]:
    """The scenario files that the paths name; ScenarioError for one that names none."""
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        files = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not files:
            raise ScenarioError([Problem(Place(name), f"this folder holds no *{SUFFIX}")])
        found.extend(files)
    return found


def run(arguments: argparse.Namespace) -> int:
    """Load everything, then run one scenario after the other."""
    invocation = invocation_of(arguments)
    invocation.hosts_kind()
    _check_reports(invocation.reports)
    scenarios = [s for path in find_scenarios(arguments.paths) for s in invocation.load(path)]
    base = make_run_directory(Path(invocation.run_dir or "artifacts"), time.strftime("%Y-%m-%dT%H-%M-%S"))
    progress = Progress()
    statuses: list[Status] = []
    interrupted = False
    for scenario in scenarios:
        try:
            statuses.append(_run_one(scenario, invocation, base, arguments.only, progress))
        except KeyboardInterrupt:
            interrupted = True
            break
        finally:
            progress.close()
    _conclude(base, invocation, progress)
    return INTERRUPTED if interrupted else _CODES[merge(statuses)]


def _check_reports(wanted: Sequence[str]) -> None:
    from reports import REPORTS

    names = [entry.partition("=")[0] for entry in wanted]
    problems = [
        Problem(Place("--report"), f"no report is called '{name}'.{did_you_mean(name, REPORTS)}")
        for name in names
        if name not in REPORTS
    ]
    if problems:
        raise ScenarioError(problems)


def _run_one(scenario: Scenario, invocation: Invocation, base: Path, only: str, progress: Progress) -> Status:
    steps = [*walk(scenario.steps), *scenario.checks]
    chosen = frozenset(step.id for step in steps if only in "::".join(step.path)) if only else None
    nodeids = {step.id: "::".join(step.path) for step in steps}
    again = f"muster run {scenario.file} -k '{{nodeid}}'"
    settings = invocation.settings(base=base, again=again, selected=chosen, nodeids=nodeids)
    scenario = replace(scenario, id=claim(base, scenario.id))
    progress.title(scenario.name, settings.hosts_kind, settings.why_hosts)

    async def main() -> Status:
        task = asyncio.current_task()
        assert task is not None, "runs inside asyncio.run"
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await run_scenario(scenario, settings, listen=progress.hear)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _conclude(base: Path, invocation: Invocation, progress: Progress) -> None:
    from reports import verdict_line, write_reports

    written = write_reports(base, invocation.reports) if invocation.reports else write_reports(base)
    sys.stdout.flush()
    progress.console.print(verdict_line(base), style="bold", markup=False)
    for name, path in written.items():
        progress.console.print(f"  {name}: {path}", markup=False)
