"""Check `served_by`."""

from harness.checks.served_by import ServedBy
from harness.verdict import Status
from tests.harness.checks.story import TWO_SERVERS, Story

A, C = "babysitter-a-server", "babysitter-c-server"


def story(*by: str) -> Story:
    """A request for each of these services."""
    told = Story()
    for second, name in enumerate(by, start=1):
        told.request(second, name)
    return told


def test_all_by_those_named_passes() -> None:
    """Every answer from one of them is a pass, whoever of them it was."""
    verdict = ServedBy((A, C)).judge(story(A, C, C).evidence())
    assert verdict.status is Status.PASS
    assert verdict.message == "babysitter-a-server and babysitter-c-server served 3 of 3 answers (100 %)"


def test_an_answer_from_somebody_else_fails_and_names_it() -> None:
    """Who answered instead is told, with the first such request."""
    verdict = ServedBy((A,)).judge(story(A, C, C).evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-a-server served 1 of 3 answers (33.33 %), wanted all; "
        "babysitter-c-server served 2 (first mu-load-1-000001)"
    )


def test_a_share_may_be_bounded_on_both_sides() -> None:
    """A half is at least 40 % and at most 60 %, and neither more nor less than that."""
    half = story(A, C, C, A).evidence()
    assert ServedBy((A,), at_least=0.4, at_most=0.6).judge(half).status is Status.PASS
    assert ServedBy((A,), at_least=0.6).judge(half).status is Status.FAIL
    verdict = ServedBy((A,), at_most=0.4).judge(half)
    assert verdict.status is Status.FAIL
    assert verdict.message == "babysitter-a-server served 2 of 4 answers (50 %), wanted at most 40 %"


def test_failed_requests_do_not_count() -> None:
    """Who refused did not serve."""
    told = story(A, A).request(3, C, outcome="error", status=502)
    assert ServedBy((A,)).judge(told.evidence()).status is Status.PASS


def test_an_answer_that_names_nobody_is_unknown() -> None:
    """Where nothing says who served, the share is not known."""
    assert ServedBy((A,)).judge(story(A, "").evidence()).status is Status.UNKNOWN


def test_bounds_that_exclude_each_other_are_a_mistake() -> None:
    """So is naming nobody."""
    assert ServedBy((A,), at_least=0.5, at_most=0.4).lint(TWO_SERVERS, {}) == [
        "nothing is at least 0.5 and at most 0.4"
    ]
    assert ServedBy(()).lint(TWO_SERVERS, {}) == ["'served_by' names nobody"]
