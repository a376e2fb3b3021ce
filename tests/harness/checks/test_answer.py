"""What a fleet answered together, judged against what its nodes said."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.answer import Answer
from harness.events import Combined, RequestDone
from harness.verdict import Status, Verdict
from tests.harness.checks.story import Story

PARIS = {"a": "Paris", "b": "PARIS!", "c": "Lyon"}


def node(name: str, text: str, outcome: str = "answered", seconds: float = 0.1) -> dict[str, Any]:
    shown = {"model": "m:1b", "outcome": outcome, "reason": "why" if outcome == "failed" else ""}
    return {"client_id": name, **shown, "seconds": seconds, "text": text}


def verdict(check: Answer, text: str, *nodes: dict[str, Any], **said: Any) -> Verdict:
    """What is said of one question that was answered so."""
    story = Story()
    done = RequestDone(load="l", id="q-1", method="POST", url="u", outcome="ok", started=1.0, ended=2.0)
    fields = {"prompt": "Capital?", "plan": "all", "answered": True, "seconds": 0.2, **said}
    story.add(2.0, Combined(load="l", id="q-1", text=text, nodes=nodes, **fields)).add(2.0, done)
    return check.judge(story.evidence(since=0.5))


def of(said: dict[str, str]) -> list[dict[str, Any]]:
    return [node(name, text) for name, text in said.items()]


def test_the_majority_is_counted_without_spelling() -> None:
    """Two of three say Paris, each in its way."""
    assert verdict(Answer("majority"), "paris", *of(PARIS)).status is Status.PASS


def test_another_answer_than_the_majority_s_fails_with_what_was_said() -> None:
    """The message has the answer, what most said, and who said what."""
    told = verdict(Answer("majority"), "Lyon", *of(PARIS))

    assert told.status is Status.FAIL
    assert "the answer is 'Lyon', which 1 of 3 said; most said 'paris'" in told.message
    assert "a said 'Paris', b said 'PARIS!' and c said 'Lyon' (q-1)" in told.message


@pytest.mark.parametrize(
    ("made", "text", "says"),
    [
        ("one", "Nice", "nobody said 'Nice'"),
        ("all", "a: Paris", "what b and c said is missing in the answer"),
        ("any", " ", "the answer is empty"),
    ],
)
def test_each_way_of_combining_has_its_oracle(made: Any, text: str, says: str) -> None:
    """A text that was not made this way fails."""
    told = verdict(Answer(made), text, *of(PARIS))

    assert (told.status, says in told.message) == (Status.FAIL, True), told.message


def test_who_is_waited_for_beyond_the_quorum_is_named() -> None:
    """Two answers were there after 0.1 s, and the third came after three seconds."""
    nodes = [node("a", "x"), node("b", "x"), node("slow", "x", "answered", 3.0)]
    told = verdict(Answer("any"), "x", *nodes, plan="quorum", count=2, seconds=3.0)

    assert told.status is Status.FAIL
    assert "2 of 3 answers were enough, and slow was waited for all the same" in told.message


def test_who_is_not_needed_is_not_waited_for() -> None:
    """The answer came when two had answered."""
    nodes = [node("a", "x"), node("b", "x"), node("slow", "", "not needed", 0.1)]

    assert verdict(Answer("any"), "x", *nodes, plan="quorum", count=2).status is Status.PASS


def test_outcomes_are_those_that_are_stated() -> None:
    """A node with another outcome is named with its reason, and so is one that was not asked."""
    check = Answer("any", outcomes={"a": "answered", "b": "answered", "c": "late"})
    told = verdict(check, "x", node("a", "x"), node("b", "", "failed"))

    assert "b is 'failed' (why) instead of 'answered'" in told.message
    assert "c was not asked" in told.message


def test_an_outcome_that_never_came_is_missed() -> None:
    """`some` wants it once at least."""
    told = verdict(Answer("any", some={"a": "failed"}), "x", node("a", "x"))

    assert told.status is Status.FAIL
    assert told.message == "a never was 'failed' in 1 question: answered 1 times"


def test_models_texts_and_questions_are_compared() -> None:
    """Another model, another text, and the answer to another question are findings."""
    check = Answer("any", text="y", models={"a": "big:8b"}, echoes=True)
    told = verdict(check, "x", node("a", "x"))

    assert "the answer is 'x' instead of 'y'" in told.message
    assert "a answered with m:1b instead of big:8b" in told.message
    assert "a answered another question" in told.message


def test_questions_without_an_answer_are_not_judged() -> None:
    """Neither is a question that nobody asked."""
    assert verdict(Answer(), "", answered=False).status is Status.UNKNOWN
    assert Answer().judge(Story().evidence(since=0.5)).status is Status.UNKNOWN
