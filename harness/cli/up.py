"""`muster up`: bring a topology up and stay, until Ctrl-C or `muster down`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.artifacts import ScenarioDirectory, make_run_directory, write_json
from harness.cli.progress import Progress
from harness.cli.run import SUFFIX, add_options, invocation_of
from harness.clock import SystemClock
from harness.events import RunFinished, RunStarted, ServiceExited, ServiceReady
from harness.history import History
from harness.hosts.base import Workspace
from harness.manifest import manifest_of
from harness.model import Scenario
from harness.secrets import Mask
from harness.stage import stage_of
from harness.standing import standing
from harness.states import states
from harness.topology import load_topology
from harness.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.history import Record
    from harness.invocation import Invocation
    from harness.model import ServiceSpec

REFRESH = 2
"""Pictures a second of the live view."""
STYLES = {"ready": "green", "starting": "cyan", "paused": "yellow", "died": "bold red", "ended": "dim"}


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "up",
        help="bring a topology up and stay",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Bring a topology up, show how it is, and stay until Ctrl-C or `muster down`.",
        epilog="example: muster up scenarios/topologies/two-servers.yaml",
    )
    parser.add_argument("file", metavar="FILE", help="a topology, or a scenario for its topology")
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Bring up, stay, take down."""
    invocation = invocation_of(arguments)
    scenario = _scenario_of(Path(arguments.file), invocation)
    base = make_run_directory(Path(invocation.run_dir or "artifacts"), time.strftime("%Y-%m-%dT%H-%M-%S"))
    asyncio.run(_Up(scenario, invocation, base).stay())
    return 0


def _scenario_of(file: Path, invocation: Invocation) -> Scenario:
    if file.name.endswith(SUFFIX):
        return invocation.load(file)[0]
    topology = load_topology(file, os.environ)
    return Scenario(name=file.stem, file=str(file), id=file.stem, topology=topology, steps=())


class _Up:
    """One standing deployment."""

    def __init__(self, scenario: Scenario, invocation: Invocation, base: Path) -> None:
        self.scenario = scenario
        self.settings = invocation.settings(base=base, again="")
        self.clock = SystemClock()
        self.started = self.clock.wall()
        self.run = f"{time.strftime('%m%d%H%M%S')}{os.getpid():x}"
        self.directory = ScenarioDirectory(base / scenario.id)
        self.directory.path.mkdir(parents=True)
        self.console = Console(highlight=False, soft_wrap=True)
        self.mask = Mask(scenario.secrets)
        self.history = History(self.clock, self.directory.history, self.mask.text)

    async def stay(self) -> None:
        """Until somebody ends it."""
        over = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        progress = Progress(self.console)
        progress.title(self.scenario.name, self.settings.hosts_kind, self.settings.why_hosts)
        self.history.listen(lambda record: self._tell(progress, record))
        started = RunStarted(run=self.run, scenario=self.scenario.name, hosts_kind=self.settings.hosts_kind)
        self.history.append(started)
        self._write_manifest({}, ())
        try:
            await self._stand(over)
        finally:
            self.history.append(RunFinished(status=Status.UNKNOWN, cut_short="brought up by hand"))
            self.history.close()
            self.mask.scrub(self.directory.path)

    async def _stand(self, over: asyncio.Event) -> None:
        workspace = Workspace(
            run=self.run,
            directory=self.directory,
            history=self.history,
            clock=self.clock,
            root=Path(self.scenario.file).resolve().parent,
        )
        topology = self.scenario.topology
        with standing(self.directory.path):
            async with stage_of(topology, self.settings, workspace, self._write_manifest):
                self.console.print(f"up: {self.directory.path}  (Ctrl-C or `muster down` ends it)")
                await self._show(over)
                self.console.print("taking it down")

    async def _show(self, over: asyncio.Event) -> None:
        if not self.console.is_terminal:
            await over.wait()
            return
        with Live(self._table(), console=self.console, refresh_per_second=REFRESH, transient=True) as live:
            while not over.is_set():
                live.update(self._table())
                try:
                    await asyncio.wait_for(over.wait(), 1 / REFRESH)
                except TimeoutError:
                    continue

    def _table(self) -> Table:
        return table_of(self.history.records, self.history.now())

    def _tell(self, progress: Progress, record: Record) -> None:
        if isinstance(record.event, ServiceReady | ServiceExited):
            progress.hear(record)

    def _write_manifest(self, addresses: Mapping[str, str], specs: Sequence[ServiceSpec]) -> None:
        manifest = manifest_of(self.scenario, self.settings, self.run, self.started, addresses, specs, ())
        write_json(self.directory.manifest, manifest.to_json(), self.mask.text)


def table_of(records: Sequence[Record], now: float) -> Table:
    """The services of a deployment and how they are."""
    table = Table(box=None, pad_edge=False)
    for title in ("host", "service", "state", "for", "url"):
        table.add_column(title)
    for each in states(records).values():
        state = f"[{STYLES[each.state]}]{each.state}[/]"
        table.add_row(each.host, each.service, state, f"{max(now - each.since, 0):.0f} s", each.url)
    return table
