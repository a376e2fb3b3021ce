"""`summary.md`: one screen for a CI job's page, failures first."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TextIO

from harness.errors import EnvironmentFailure
from reports.console import LABELS, failing
from reports.model import NOT_SELECTED, every_step
from reports.moments import clock, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.model import RunReport, StepReport

SHOWN_FAILURES = 5
SHOWN_SCENARIOS = 12
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
_MARKS = {"pass": "✅", "fail": "❌", "unknown": "❓", "not-applicable": "⏭️", "not-run": "⬜"}


def escaped(text: str, most: int = 400) -> str:
    """A text that Markdown shows as it is, on one line."""
    text = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", text if len(text) <= most else f"{text[: most - 1]}…")


def code(text: str) -> str:
    """A text as code, whatever backticks it holds."""
    text = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


class Markdown:
    """One screen: the verdict, the failures with their commands, a table of scenarios."""

    file_name: ClassVar[str] = "summary.md"

    def render(self, run: RunReport, out: TextIO) -> None:
        out.write("\n".join(_lines(run)) + "\n")

    def publish(self, path: Path) -> None:
        """Append the summary to the page of the CI job, where the CI names a file for that."""
        target = os.environ.get(SUMMARY_VARIABLE)
        if not target:
            return
        try:
            with Path(target).open("a", encoding="utf-8") as out:
                out.write(path.read_text(encoding="utf-8") + "\n")
        except OSError as error:
            msg = f"cannot append the summary to {target} ({SUMMARY_VARIABLE}): {error.strerror}"
            raise EnvironmentFailure(msg) from error


def _lines(run: RunReport) -> Iterator[str]:
    yield f"## {_MARKS[run.status]} muster: {LABELS[run.status].lower()}"
    yield ""
    if run.aborted:
        yield "**ABORTED**: the run was cut short, what is below is all that ran."
        yield ""
    yield escaped(run.headline.sentence)
    yield ""
    bad = [step for scenario in run.scenarios for step in failing(scenario)]
    for step in bad[:SHOWN_FAILURES]:
        yield from _failure(step)
    if len(bad) > SHOWN_FAILURES:
        yield f"- and {len(bad) - SHOWN_FAILURES} more in `report.html`"
    if bad:
        yield ""
    yield from _table(run)


def _failure(step: StepReport) -> Iterator[str]:
    at = f" at {clock(step.judged)}" if step.judged is not None else ""
    where = code(f"{step.file}:{step.line}")
    yield f"- **{LABELS[step.status]}**{at}: {escaped(' > '.join(step.path))} ({where})  "
    yield f"  {escaped(step.message)}"
    if step.again:
        yield f"  <br>again: {code(step.again)}"


def _table(run: RunReport) -> Iterator[str]:
    yield "| | scenario | hosts | passed | failed | unknown | not run | not applicable | took |"
    yield "|---|---|---|--:|--:|--:|--:|--:|--:|"
    order = sorted(run.scenarios, key=lambda s: ("fail", "unknown", "pass", "not-applicable").index(s.status))
    for scenario in order[:SHOWN_SCENARIOS]:
        counts = [scenario.counts.get(status, 0) for status in ("pass", "fail", "unknown", "not-run")]
        cells = [_MARKS[scenario.status], escaped(scenario.name, 60), escaped(scenario.hosts_kind, 20)]
        cells += [str(count) for count in (*counts, scenario.counts.get("not-applicable", 0))]
        yield f"| {' | '.join([*cells, lasted(scenario.seconds)])} |"
    if len(order) > SHOWN_SCENARIOS:
        yield f"| | and {len(order) - SHOWN_SCENARIOS} more | | | | | | | |"
    steps = sum(step.status != NOT_SELECTED for s in run.scenarios for step in every_step(s.steps))
    yield ""
    yield f"{steps} steps, {lasted(run.seconds)}; run {code(run.run)}"
