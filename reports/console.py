"""Text blocks for a terminal: how a failing step explains itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TextIO

from reports.model import NOT_RUN, every_step
from reports.moments import clock, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reports.model import Line, RunReport, ScenarioReport, StepReport

LABELS = {
    "pass": "PASSED",
    "fail": "FAILED",
    "unknown": "UNKNOWN",
    "not-applicable": "NOT APPLICABLE",
    NOT_RUN: "NOT RUN",
}

_WORST_FIRST = ("fail", "unknown", NOT_RUN)


class Console:
    """The verdict, and a block for every step that did not keep its promise."""

    file_name: ClassVar[str] = "console.txt"

    def render(self, run: RunReport, out: TextIO) -> None:
        for scenario in run.scenarios:
            blocks = (block(step, run.directory, scenario) for step in failing(scenario))
            out.writelines("\n".join(lines) + "\n\n" for lines in blocks)
        out.write(run.headline.sentence + "\n")


def failing(scenario: ScenarioReport) -> list[StepReport]:
    """The steps that need reading, the worst first."""
    steps = [step for step in every_step(scenario.steps) if step.status in _WORST_FIRST]
    return sorted(steps, key=lambda step: _WORST_FIRST.index(step.status))


def block(step: StepReport, run_directory: str, scenario: ScenarioReport) -> list[str]:
    """One step as lines: where and what, why, the evidence, where to look, how to repeat it."""
    took = step.judged - step.since if step.judged is not None and step.since is not None else 0.0
    after = f" after {lasted(took)}" if took >= 0.001 else ""
    head = f"{step.file}:{step.line}  {'::'.join(step.path)}   {LABELS[step.status]}{after}"
    return [head, *(f"  {line}" for line in _body(step, run_directory, scenario))]


def _body(step: StepReport, run_directory: str, scenario: ScenarioReport) -> Iterator[str]:
    yield from step.message.splitlines()
    yield from (f"  {line}" for line in told(step.evidence, step.since))
    yield from (f"  {detail}" for text in step.details for detail in text.splitlines())
    folder = "/".join(part for part in (run_directory, scenario.directory) if part != ".")
    yield from (f"look at: {folder}/{place}" for place in step.look_at)
    if step.again:
        yield f"again:   {step.again}"


def told(lines: Sequence[Line], since: float | None) -> Iterator[str]:
    """Lines of evidence in columns; the time since the step's window began stands behind those within it."""
    width = max((len(line.source) for line in lines), default=0)
    for line in lines:
        later = since is not None and line.t >= since and line.tone != "fault"
        after = f"   +{line.t - (since or 0.0):.2f} s" if later else ""
        yield f"{clock(line.t)}  {line.source:<{width}}  {line.text}{after}"
