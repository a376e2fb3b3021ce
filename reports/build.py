"""From stored runs to the report's data model: one pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.events import RunFinished
from harness.history import of
from harness.verdict import Status, merge
from reports.faults import faults_of
from reports.headline import added, counts_of, run_headline, scenario_headline
from reports.lanes import hosts_of, presence_of
from reports.loads import loads_of, requests_of
from reports.model import NOT_RUN, RunReport, ScenarioReport, every_step
from reports.steps import Steps
from reports.story import Story, timeline_of
from reports.visibility import visibility_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness.artifacts import ScenarioRun
    from reports.model import LogReport, StepReport

NO_RESULT = "no result was written: muster was stopped before it could finish"


def build_report(
    runs: Sequence[ScenarioRun], directory: Path, logs: Mapping[str, Sequence[LogReport]] | None = None
) -> RunReport:
    """The report of the runs in a directory; `logs` maps scenario ids to what was read of their logs."""
    scenarios = tuple(_scenario(run, directory, (logs or {}).get(run.manifest.id, ())) for run in runs)
    status = merge(Status(scenario.status) for scenario in scenarios)
    began = min(scenario.started for scenario in scenarios)
    ended = max(scenario.started + scenario.seconds for scenario in scenarios)
    return RunReport(
        run=runs[0].manifest.run,
        directory=str(directory),
        status=status,
        headline=run_headline(status, scenarios),
        counts=added([scenario.counts for scenario in scenarios]),
        started=began,
        seconds=ended - began,
        aborted=any(scenario.cut_short for scenario in scenarios),
        scenarios=scenarios,
    )


def _scenario(run: ScenarioRun, directory: Path, logs: Sequence[LogReport]) -> ScenarioReport:
    manifest, records = run.manifest, run.records
    end = records[-1].t if records else 0.0
    story = Story(records)
    faults = faults_of(records, end)
    loads = loads_of(records, end)
    hosts = hosts_of(manifest, records, faults, end)
    steps = Steps(run, story, faults, loads, logs).tree()
    cut_short = _cut_short(run)
    status = status_of(run, every_step(steps), cut_short)
    timeline, left_out = timeline_of(records, story)
    why = str((run.result or {}).get("too_few", ""))
    return ScenarioReport(
        id=manifest.id,
        name=manifest.scenario,
        file=manifest.file,
        about=manifest.about,
        tags=manifest.tags,
        status=status,
        cut_short=cut_short,
        headline=scenario_headline(manifest.scenario, status, cut_short, every_step(steps), end, why),
        counts=counts_of(every_step(steps)),
        started=manifest.started,
        seconds=end,
        hosts_kind=manifest.hosts_kind,
        why_hosts=manifest.why_hosts,
        hosts=hosts,
        steps=steps,
        faults=faults,
        loads=loads,
        visibility=visibility_of(records, manifest.facts, presence_of(hosts, faults)),
        timeline=timeline,
        timeline_left_out=left_out,
        requests=requests_of(records),
        logs=tuple(logs),
        environment=manifest.environment,
        params=manifest.params,
        directory=run.directory.path.relative_to(directory).as_posix(),
        at_least=manifest.at_least,
    )


def _cut_short(run: ScenarioRun) -> str:
    """Why the run did not reach its end; empty when it did."""
    if run.result is None:
        return NO_RESULT
    told = next((event.cut_short for _, event in of(run.records, RunFinished)), "")
    return str(run.result.get("cut_short") or told)


def status_of(run: ScenarioRun, steps: Sequence[StepReport], cut_short: str) -> Status:
    """Fail beats unknown beats pass; what never ran, and a run that was cut short, are unknown."""
    known = {status.value for status in Status}
    statuses = [Status(step.status) for step in steps if step.status in known]
    if cut_short or any(step.status == NOT_RUN for step in steps):
        statuses.append(Status.UNKNOWN)
    told = str((run.result or {}).get("status", ""))
    if told in known:
        statuses.append(Status(told))
    return merge(statuses)
