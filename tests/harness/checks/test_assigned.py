"""Check `assigned`."""

from harness.checks.assigned import Assigned
from harness.evidence import Facts
from harness.verdict import Status
from tests.harness.checks.story import ALL_NAMES, Story


def test_as_stated_passes() -> None:
    """Each name offers what the topology states."""
    verdict = Assigned("all").judge(Story().entries(1, *ALL_NAMES).evidence())
    assert verdict.status is Status.PASS
    assert "babysitter-c-server offers model-1" in verdict.message


def test_the_wrong_model_is_named() -> None:
    """A babysitter with the wrong model fails by name, with both models."""
    story = Story().entries(1, *ALL_NAMES, babysitter_c_server=["model-2"])
    verdict = Assigned("all").judge(story.evidence(0, 10))
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-c-server offers model-2, but should offer model-1, 10.0 s after the step began"
    )


def test_an_extra_service_is_named() -> None:
    """A service that offers models and is not stated fails, unless others are allowed."""
    story = Story().entries(1, *ALL_NAMES, "ghost", ghost=["model-1"])
    verdict = Assigned("all").judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "ghost offers model-1, which nothing states" in verdict.message
    assert Assigned("all", exactly=False).judge(story.evidence()).status is Status.PASS


def test_a_missing_service_is_named() -> None:
    """A name that is not registered offers nothing."""
    verdict = Assigned({"babysitter-a-server": ("model-1",)}).judge(Story().entries(1).evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-a-server is not registered at registry (never seen)" in verdict.message


def test_nothing_to_judge_is_unknown() -> None:
    """No look, no statement, or a name nobody has: unknown."""
    facts = Facts(services=Story().facts.services[:1])
    there = Story().entries(1, *ALL_NAMES).evidence()
    assert Assigned("all").judge(Story().evidence()).status is Status.UNKNOWN
    assert Assigned("all").judge(Story(facts=facts).entries(1).evidence()).status is Status.UNKNOWN
    assert Assigned({"nobody": ("model-1",)}, exactly=False).judge(there).status is Status.UNKNOWN
