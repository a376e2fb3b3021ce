"""Performing steps: order, selection, what ends a scenario and what does not."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import acts
from harness.clock import SystemClock
from harness.errors import CheckFailed, EnvironmentFailure, NotApplicable
from harness.events import StepJudged
from harness.evidence import Evidence, Facts
from harness.history import History, of
from harness.model import Expect, Step
from harness.settings import RunSettings
from harness.steps import Performer
from harness.testing import HERE
from harness.verdict import Verdict, failed, passed, unknown


@dataclass
class Says:
    """A check with a fixed answer that remembers what it was asked."""

    verdict: Verdict
    asked: list[Evidence] = field(default_factory=list)

    def judge(self, evidence: Evidence) -> Verdict:
        self.asked.append(evidence)
        return self.verdict


def step(name: str, *checks: Says, does: str = "", steps: Sequence[Step] = (), **fields: Any) -> Step:
    expects = tuple(Expect(check=check, place=HERE) for check in checks)
    return Step(
        id=name, path=(name,), place=HERE, does=does, expects=expects, steps=tuple(steps), limit=5.0, **fields
    )


GOOD, BAD, VAGUE = passed("kept"), failed("broken by router"), unknown("nothing was sent")


def perform(
    *steps: Step, selected: frozenset[str] | None = None, doing: Any = None
) -> dict[str, tuple[str, str]]:
    """Perform steps on an empty stage; returns each judged step's status and message, in the order judged."""

    async def main() -> History:
        history = History(SystemClock())

        async def nothing(*_: object) -> None:
            return None

        deployment = SimpleNamespace(history=history, facts=Facts())
        settings = RunSettings(
            hosts_kind="fake", base=Path(), selected=selected, again="muster run -k {nodeid}"
        )
        stage: Any = SimpleNamespace(
            deployment=deployment,
            observers=SimpleNamespace(watch=nothing),
            logs=SimpleNamespace(look=nothing),
            settings=settings,
            resolve=lambda value: value,
        )
        await Performer(stage).perform(steps)
        return history

    history = asyncio.run(main())
    return {record.step: (event.status, event.message) for record, event in of(history.records, StepJudged)}


@pytest.fixture
def act(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An action `fault` that notes its coming and going, and can be told to fail."""
    told: list[str] = []

    @asynccontextmanager
    async def fault(stage: Any, step: Step) -> Any:
        told.append(f"+{step.id}")
        if isinstance(step.action, Exception):
            raise step.action
        now = stage.deployment.history.now()
        yield acts.Doing(since=now, nested_since=now)
        told.append(f"-{step.id}")

    monkeypatch.setitem(acts.ACTS, "fault", fault)
    return told


def test_a_failed_expectation_ends_nothing() -> None:
    """What comes after a failure is judged all the same."""
    assert perform(step("a", Says(BAD)), step("b", Says(GOOD))) == {
        "a": ("fail", "broken by router"),
        "b": ("pass", "kept"),
    }


def test_a_required_step_that_does_not_pass_ends_the_scenario() -> None:
    """What follows says that it was not run, and why; it is unknown, not pass."""
    judged = perform(step("a", Says(VAGUE), required=True), step("b", Says(GOOD)))
    assert judged["b"] == ("unknown", "not run: 'a' is required and did not pass")


def test_nested_steps_happen_inside_their_action(act: list[str]) -> None:
    """The fault lasts for its nested steps and is over before its own verdict and the next step."""
    judged = perform(step("f", does="fault", steps=[step("inside", Says(GOOD))]), step("after", Says(GOOD)))
    assert list(judged) == ["inside", "f", "after"]
    assert act == ["+f", "-f"]


def test_a_fault_without_a_receipt_ends_the_scenario(act: list[str]) -> None:
    """Neither what is nested in it nor what follows is judged; none of it passes."""
    fault = step(
        "f", does="fault", action=EnvironmentFailure("no receipt"), steps=[step("inside", Says(GOOD))]
    )
    judged = perform(fault, step("after", Says(GOOD)))
    assert judged["f"] == ("unknown", "no receipt")
    assert judged["inside"][0] == judged["after"][0] == "unknown"
    assert act == ["+f"]


def test_an_action_that_the_system_breaks_is_a_failure(act: list[str]) -> None:
    """CheckFailed from an action is the system's fault, and still ends what follows."""
    judged = perform(step("f", does="fault", action=CheckFailed("it lied")), step("after", Says(GOOD)))
    assert judged == {"f": ("fail", "it lied"), "after": ("unknown", "not run: 'f' could not be done")}


def test_what_these_hosts_cannot_do_is_not_applicable_with_all_that_rests_on_it(act: list[str]) -> None:
    """Nested steps and steps that presume it are not applicable; the rest goes on."""
    fault = step("f", does="fault", action=NotApplicable("no cables"), steps=[step("inside", Says(GOOD))])
    judged = perform(fault, step("again", Says(GOOD), presumes="f"), step("rest", Says(GOOD)))
    assert {name: status for name, (status, _) in judged.items()} == {
        "f": "not-applicable",
        "inside": "not-applicable",
        "again": "not-applicable",
        "rest": "pass",
    }
    assert judged["inside"][1] == "no cables"


def test_a_bug_in_an_action_is_unknown_and_says_so(act: list[str]) -> None:
    """An exception nobody meant is reported as muster's own."""
    judged = perform(step("f", does="fault", action=ZeroDivisionError("oops")))
    assert judged["f"][0] == "unknown"
    assert "please report it: ZeroDivisionError: oops" in judged["f"][1]


def test_only_selected_steps_are_judged_but_all_are_performed(act: list[str]) -> None:
    """The action around a selected step is performed, its own verdict is not recorded."""
    fault = step("f", does="fault", steps=[step("one", Says(BAD)), step("two", Says(GOOD))])
    assert perform(fault, selected=frozenset({"two"})) == {"two": ("pass", "kept")}
    assert act == ["+f", "-f"]


def test_a_step_with_nothing_to_judge_is_unknown() -> None:
    """An empty `each` leaves one step that says so."""
    assert perform(step("a", nothing="topology.models is empty")) == {
        "a": ("unknown", "topology.models is empty")
    }


def test_inside_a_fault_the_clocks_start_at_its_proof(act: list[str]) -> None:
    """A nested expectation is judged on what happened since the fault was proven, however late it comes."""
    early, late = Says(GOOD), Says(GOOD)
    perform(step("f", does="fault", steps=[step("one", early), step("two", late)]))
    assert early.asked[0].since == late.asked[0].since
    assert late.asked[0].until > early.asked[0].until


def test_an_action_that_never_ends_is_cut_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every action has a time limit; running into it is unknown and ends the scenario."""

    @asynccontextmanager
    async def endless(stage: Any, step: Step) -> Any:
        await asyncio.Event().wait()
        yield None

    monkeypatch.setitem(acts.ACTS, "fault", endless)
    judged = perform(replace(step("f", does="fault"), limit=0.02), step("after", Says(GOOD)))
    assert judged["f"] == ("unknown", "'fault' was not done within the step's limit of 0.02 s")
    assert judged["after"][0] == "unknown"
