"""Whether a balancer gives nodes the points that they are worth."""

from __future__ import annotations

from harness.checks.scores import Scores
from harness.events import Seen
from harness.evidence import Facts, ServiceFacts
from harness.verdict import Status, Verdict
from tests.harness.checks.story import Story

FACTS = Facts(
    services=(
        ServiceFacts(name="balancer", url="http://balancer:5001", speaks=("balancer",)),
        ServiceFacts(name="big", registers={"big": ()}),
        ServiceFacts(name="small", registers={"small": ()}),
    )
)


def verdict(wanted: dict[str, float], **shown: float | None) -> Verdict:
    """What is said when the balancer shows these points."""
    value = {name: {"metadata": {"score": points}} for name, points in shown.items()}
    story = Story(FACTS).add(1.5, Seen(source="balancer", view="services", ok=True, took=0.0, value=value))
    return Scores(wanted).judge(story.evidence(since=1.0))


def test_the_right_points_pass() -> None:
    """What is rounded to one digit is right."""
    told = verdict({"big": 100, "small": 26.55}, big=100.0, small=26.5)

    assert (told.status, told.message) == (Status.PASS, "big has 100 and small has 26.55")


def test_other_points_are_named() -> None:
    """The message has the node, what it got and what it is worth."""
    told = verdict({"big": 100, "small": 26}, big=100.0, small=100.0)

    assert told.status is Status.FAIL
    assert "small has 100 points at balancer, its hardware is worth 26, 0.5 s after" in told.message
    assert "big" not in told.message


def test_a_node_that_is_missing_is_named() -> None:
    """Nobody's points are not right."""
    told = verdict({"small": 26}, big=100.0)

    assert told.status is Status.FAIL
    assert told.message.startswith("small is not registered at balancer (never seen)")


def test_without_a_look_or_a_node_nothing_is_known() -> None:
    """Neither is a pass."""
    assert verdict({}, big=1.0).status is Status.UNKNOWN
    assert Scores({"big": 1}).judge(Story(FACTS).evidence(since=1.0)).status is Status.UNKNOWN
