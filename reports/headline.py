"""The verdict in one sentence: what failed, where, when, whose move it likely is, and how to repeat it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.verdict import Status
from reports.model import NOT_RUN, Headline
from reports.moments import clock, counted, lasted
from reports.steps import blamed

if TYPE_CHECKING:
    from reports.model import ScenarioReport, StepReport

INTERRUPTED = "interrupted"
"""What a result says when a person ended the run."""

_OWNERS = {
    "product": "the system under test",
    "infrastructure": "the machine or the network it ran on",
    "harness": "muster itself",
}


def counts_of(steps: Sequence[StepReport]) -> dict[str, int]:
    """How many steps there are of each status."""
    return dict(Counter(step.status for step in steps))


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Several counts together."""
    return dict(sum((Counter(count) for count in counts), Counter()))


def scenario_headline(
    name: str, status: str, cut_short: str, steps: Sequence[StepReport], seconds: float, why: str = ""
) -> Headline:
    """One scenario's verdict."""
    for wanted in (Status.FAIL, Status.UNKNOWN):
        bad = [step for step in steps if step.status == wanted]
        if bad:
            return _of_step(bad, str(wanted), cut_short)
    missing = [step for step in steps if step.status == NOT_RUN]
    if cut_short or missing:
        return _unfinished(name, cut_short, missing, len(steps), seconds)
    if status in {Status.FAIL, Status.UNKNOWN}:
        sentence = f"{status.upper()}: {name}: {why or 'the run itself could not be judged'}"
        return Headline(word=status.upper(), sentence=sentence, what=why, where=name, owner="infrastructure")
    judged = [step for step in steps if step.status == Status.PASS]
    skipped = sum(step.status == Status.NOT_APPLICABLE for step in steps)
    if not judged:
        sentence = f"NOTHING WAS JUDGED: {name}: no step applies to these hosts."
        return Headline(word="NOTHING WAS JUDGED", sentence=sentence, where=name)
    rest = f"; {counted(skipped, 'step')} not applicable to these hosts" if skipped else ""
    sentence = f"PASSED: {name}: {counted(len(judged), 'step')} kept in {lasted(seconds)}{rest}."
    return Headline(word="PASSED", sentence=sentence, where=name)


def _of_step(bad: Sequence[StepReport], status: str, cut_short: str) -> Headline:
    step = bad[0]
    word = {"fail": "FAILED", "unknown": "UNKNOWN"}[status]
    when = step.judged
    at = f" at {clock(when)}" if when is not None else ""
    parts = [f"{word}{at}: {' > '.join(step.path)}: {_sentence(step.message)}"]
    if step.owner:
        parts.append(f"Likely the move of {_OWNERS[step.owner]}.")
    if len(bad) > 1:
        more = len(bad) - 1
        verb = {"fail": "failed", "unknown": "could not be judged"}[status]
        parts.append(f"{counted(more, 'more step')} {verb}." if more == 1 else f"{more} more steps {verb}.")
    if cut_short:
        parts.append(f"The run was cut short: {_sentence(cut_short)}")
    return Headline(
        word=word,
        sentence=" ".join(parts),
        what=step.message,
        where=f"{step.file}:{step.line}",
        when=when,
        owner=step.owner,
        again=step.again,
        anchor=step.anchor,
    )


def _unfinished(
    name: str, cut_short: str, missing: Sequence[StepReport], steps: int, seconds: float
) -> Headline:
    never = f"{len(missing)} of {counted(steps, 'step')} never ran"
    why = f" ({cut_short})" if cut_short else ""
    sentence = (
        f"CUT SHORT after {lasted(seconds)}{why}: {name}: {never}, so nothing can be said for the whole."
    )
    return Headline(
        word="CUT SHORT",
        sentence=sentence,
        what=never,
        where=f"{missing[0].file}:{missing[0].line}" if missing else name,
        when=seconds,
        owner="" if cut_short == INTERRUPTED else blamed(cut_short),
        anchor=missing[0].anchor if missing else "",
    )


def run_headline(status: str, scenarios: Sequence[ScenarioReport]) -> Headline:
    """The verdict of the whole run: that of its worst scenario."""
    worst = next((s for s in scenarios if s.status == status), scenarios[0])
    if len(scenarios) == 1:
        return worst.headline
    if status == Status.PASS:
        kept = sum(scenario.counts.get(Status.PASS, 0) for scenario in scenarios)
        return Headline(
            word="PASSED", sentence=f"PASSED: {len(scenarios)} scenarios, {counted(kept, 'step')} kept."
        )
    alike = sum(scenario.status == status for scenario in scenarios)
    few = f" Scenario: {worst.name} ({alike} of {len(scenarios)} scenarios: {status})."
    return replace(worst.headline, sentence=worst.headline.sentence + few)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
