"""The life of a run.

1. the scenario is loaded and valid (`harness.scenario`), the manifest of what will be judged is on disk
2. names, addresses and ports are leased, intent is journaled (`harness.hosts`)
3. hosts and services come up, in parallel, each waited for by its own condition
4. premises: everything is ready
5. observers are on
6. steps, in order; health before and after every fault; every fault with its receipt
7. settle: logs are read to their end
8. tear-down in reverse, always
9. the checks at the end judge the stored history; the result is written

Reports are made from the run directory, by whoever asked for the run.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.artifacts import ScenarioDirectory, write_json
from harness.clock import SystemClock
from harness.errors import EnvironmentFailure
from harness.events import Note, RunFinished, RunStarted, StepJudged
from harness.evidence import Evidence
from harness.expectation import judge
from harness.history import History, of
from harness.hosts.base import Workspace
from harness.manifest import manifest_of, planned_step
from harness.secrets import Mask
from harness.stage import stage_of
from harness.standing import standing
from harness.steps import Performer, walk
from harness.verdict import Status, merge, merge_verdicts, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.clock import Clock
    from harness.history import Record
    from harness.model import Scenario, ServiceSpec, Step
    from harness.settings import RunSettings
    from harness.stage import Stage


async def run(
    scenario: Scenario,
    settings: RunSettings,
    *,
    listen: Callable[[Record], None] | None = None,
    clock: Clock | None = None,
) -> Status:
    """Run a scenario; whatever happens, what was seen is on disk and everything started is gone.

    Args:
        scenario: a loaded scenario.
        settings: where and how; `settings.base` exists.
        listen: called with every record as it is written (progress, pytest's items).
        clock: the machine's clocks unless a test brings its own.

    Returns:
        The merged status of all selected steps; unknown if the run was cut short.

    Raises:
        asyncio.CancelledError: the run was interrupted; it is torn down and its result written.
    """
    return await _Run(scenario, settings, clock or SystemClock()).go(listen)


class _Run:
    """One run, as it goes through its life."""

    def __init__(self, scenario: Scenario, settings: RunSettings, clock: Clock) -> None:
        self.scenario = scenario
        self.settings = settings
        self.clock = clock
        self.id = f"{time.strftime('%m%d%H%M%S')}{os.getpid():x}"
        self.directory = ScenarioDirectory(settings.base / scenario.id)
        self.directory.path.mkdir(parents=True, exist_ok=True)
        self.last = _last_selected(scenario, settings.selected)
        self.mask = Mask(scenario.secrets)
        self.settled = 0.0
        self.started = clock.wall()

    async def go(self, listen: Callable[[Record], None] | None) -> Status:
        """All nine stages."""
        self.write_manifest({}, ())
        history = History(self.clock, self.directory.history, self.mask.text)
        if listen is not None:
            history.listen(listen)
        history.append(
            RunStarted(run=self.id, scenario=self.scenario.name, hosts_kind=self.settings.hosts_kind)
        )
        cut_short = ""
        try:
            async with asyncio.timeout(self.scenario.limit) as limit:
                await self._deploy_and_perform(history, limit)
        except EnvironmentFailure as error:
            self._nothing_ran(history, str(error))
        except TimeoutError:
            cut_short = f"the scenario took longer than its limit of {self.scenario.limit:g} s"
        except asyncio.CancelledError:
            cut_short = "interrupted"
            raise
        except Exception as error:
            cut_short = f"muster failed: {type(error).__name__}: {error}"
            raise
        finally:
            status = self._finish(history, cut_short or history.lost)
        return status

    async def _deploy_and_perform(self, history: History, limit: asyncio.Timeout) -> None:
        workspace = Workspace(
            run=self.id,
            directory=self.directory,
            history=history,
            clock=self.clock,
            root=_folder_of(self.scenario),
        )
        async with stage_of(self.scenario.topology, self.settings, workspace, self.write_manifest) as stage:
            performer = Performer(stage)
            await performer.perform(self.scenario.steps[: self.last])
            await stage.logs.conclude()
            self.settled = history.now()
            if self.settings.keep:
                limit.reschedule(None)
                await self._stay(history)
        self._judge_whole(stage, performer)

    async def _stay(self, history: History) -> None:
        """Leave the deployment standing until somebody interrupts: that is the run's proper end then."""
        history.append(Note(text=f"kept: {self.directory.path} stands until Ctrl-C or `muster down`"))
        try:
            with standing(self.directory.path):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()

    def _judge_whole(self, stage: Stage, performer: Performer) -> None:
        """The checks at the end, on everything up to the moment the steps were done."""
        deployment = stage.deployment
        records = tuple(deployment.history.records)
        evidence = Evidence(records=records, since=0.0, until=self.settled, facts=deployment.facts)
        for check in self.scenario.checks:
            verdicts = [judge(stage.resolve(expect), evidence) for expect in check.expects]
            performer.record(check, merge_verdicts(verdicts), 0.0)

    def _nothing_ran(self, history: History, why: str) -> None:
        """The deployment failed: whatever has no verdict yet is unknown, with that reason."""
        judged = {record.step for record, _ in of(history.records, StepJudged)}
        now = history.now()
        for step in self._selected_steps():
            if step.id not in judged:
                verdict = unknown(why)
                history.append(
                    StepJudged(
                        path=step.path,
                        status=verdict.status,
                        message=verdict.message,
                        started=now,
                        judged=now,
                    ),
                    step=step.id,
                )

    def _selected_steps(self) -> list[Step]:
        every = [*walk(self.scenario.steps), *self.scenario.checks]
        chosen = self.settings.selected
        return [step for step in every if chosen is None or step.id in chosen]

    def _finish(self, history: History, cut_short: str) -> Status:
        judged = {r.step: Status(e.status) for r, e in of(history.records, StepJudged)}
        planned = self._selected_steps()
        statuses = [judged.get(step.id, Status.UNKNOWN) for step in planned]
        done = sum(status in (Status.PASS, Status.FAIL) for status in statuses)
        too_few = self._too_few(done)
        leaked = self.mask.scrub(self.directory.path)
        if leaked:
            cut_short = f"a secret stands in {', '.join(map(str, leaked))} and could not be masked: delete it"
            statuses.append(Status.FAIL)
        if too_few or cut_short:
            statuses.append(Status.UNKNOWN)
        status = merge(statuses)
        counts = {each.value: statuses.count(each) for each in Status}
        result = {"status": status, "cut_short": cut_short, "too_few": too_few, "counts": counts}
        try:
            history.append(RunFinished(status=status, cut_short=cut_short))
            write_json(self.directory.result, result)
        finally:
            history.close()
        return status

    def _too_few(self, done: int) -> str:
        wanted = self.scenario.at_least
        if wanted is None or self.settings.selected is not None or done >= wanted:
            return ""
        return f"{done} steps were judged, the scenario asks for at least {wanted}"

    def write_manifest(self, addresses: Mapping[str, str], specs: Sequence[ServiceSpec]) -> None:
        """Write what is going to be done; again once addresses are known."""
        every = [*walk(self.scenario.steps), *self.scenario.checks]
        planned = [planned_step(step, self.settings) for step in every]
        manifest = manifest_of(self.scenario, self.settings, self.id, self.started, addresses, specs, planned)
        write_json(self.directory.manifest, manifest.to_json(), self.mask.text)


def _last_selected(scenario: Scenario, selected: frozenset[str] | None) -> int:
    """How many of the top steps must be performed: all up to the last that holds a selected one."""
    if selected is None or any(check.id in selected for check in scenario.checks):
        return len(scenario.steps)
    needed = [n for n, top in enumerate(scenario.steps, 1) if any(s.id in selected for s in walk((top,)))]
    return max(needed, default=0)


def _folder_of(scenario: Scenario) -> Path:
    return Path(scenario.file).resolve().parent
