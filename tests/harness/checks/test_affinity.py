"""Checks `affinity` and `moved`: where sessions are, and which of them change their service."""

from harness.checks.affinity import Affinity
from harness.checks.moved import Moved
from harness.verdict import Status
from tests.harness.checks.story import TWO_SERVERS, Story

A, C = "babysitter-a-server", "babysitter-c-server"


def load(name: str, story: Story, start: float, **by: str) -> Story:
    """A request of each session, with the service that answered it."""
    for second, (session, service) in enumerate(by.items()):
        story.request(start + second, service, session=session, load=name)
    return story


def test_sessions_with_one_service_each_pass() -> None:
    """Each session is asked twice and answered by the same service."""
    story = load("one", Story(), 1, x=A, y=C)
    verdict = Affinity(1.0).judge(load("one", story, 11, x=A, y=C).evidence())
    assert verdict.status is Status.PASS
    assert verdict.message == (
        "2 of 2 sessions had one service each, of babysitter-a-server and babysitter-c-server"
    )


def test_a_torn_session_is_named_with_both_services() -> None:
    """The first request that went elsewhere is told; a share of torn sessions may be allowed."""
    story = load("one", Story(), 1, x=A, y=C)
    evidence = load("one", story, 11, x=C, y=C).evidence()
    verdict = Affinity(1.0).judge(evidence)
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "1 of 2 sessions had more than one service: x was with babysitter-a-server, and mu-load-1-000002 "
        "went to babysitter-c-server"
    )
    assert Affinity(0.5).judge(evidence).status is Status.PASS


def test_what_cannot_show_affinity_is_unknown() -> None:
    """One request a session, no sessions at all, or one service for all of them say nothing."""
    once = load("one", Story(), 1, x=A, y=C)
    assert Affinity(1.0).judge(once.evidence()).status is Status.UNKNOWN
    assert Affinity(1.0).judge(Story().request(1, A).request(2, A).evidence()).status is Status.UNKNOWN
    same = load("one", load("one", Story(), 1, x=A, y=A), 11, x=A, y=A)
    assert Affinity(1.0).judge(same.evidence()).status is Status.UNKNOWN


def test_nothing_moved() -> None:
    """Each session is where it was in the load before."""
    story = load("two", load("one", Story(), 1, x=A, y=C), 11, x=A, y=C)
    verdict = Moved("none").judge(story.evidence(load="two"))
    assert (verdict.status, verdict.message) == (Status.PASS, "0 of 2 sessions moved")


def test_who_moved_without_a_reason_is_named() -> None:
    """A session of a service that stayed must stay with it."""
    story = load("two", load("one", Story(), 1, x=A, y=C), 11, x=C, y=A)
    verdict = Moved("only", left=(C,)).judge(story.evidence(load="two"))
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "2 of 2 sessions moved, 1 beside those from babysitter-c-server that had no reason to: "
        "x went from babysitter-a-server to babysitter-c-server (mu-load-1-000002)"
    )
    assert Moved("none").judge(story.evidence(load="two")).status is Status.FAIL


def test_sessions_of_who_left_must_be_elsewhere() -> None:
    """They moved, all of them; one that did not is named."""
    before = load("one", Story(), 1, x=A, y=C)
    moved = load("two", before, 11, x=A, y=A)
    verdict = Moved("only", left=(C,)).judge(moved.evidence(load="two"))
    assert (verdict.status, verdict.message) == (
        Status.PASS,
        "1 of 2 sessions moved, all of them from babysitter-c-server",
    )
    stuck = load("three", load("one", Story(), 1, x=A, y=C), 11, x=A, y=C)
    verdict = Moved("only", left=(C,)).judge(stuck.evidence(load="three"))
    assert (verdict.status, verdict.message) == (
        Status.FAIL,
        "0 of 2 sessions moved; y is still with babysitter-c-server",
    )


def test_sessions_may_go_to_who_came() -> None:
    """And to nobody else; where nobody came to it, nothing is shown."""
    story = load("two", load("one", Story(), 1, x=A, y=A), 11, x=A, y=C)
    assert Moved("only", came=(C,)).judge(story.evidence(load="two")).status is Status.PASS
    assert Moved("only", came=(A,)).judge(story.evidence(load="two")).status is Status.FAIL
    nobody = load("two", load("one", Story(), 1, x=A, y=A), 11, x=A, y=A)
    assert Moved("only", came=(C,)).judge(nobody.evidence(load="two")).status is Status.UNKNOWN


def test_nothing_to_compare_with_is_unknown() -> None:
    """Sessions that nobody saw before, or a service that had none."""
    first = load("two", Story(), 11, x=A, y=A)
    assert Moved("none").judge(first.evidence(load="two")).status is Status.UNKNOWN
    story = load("two", load("one", Story(), 1, x=A, y=A), 11, x=A, y=A)
    assert Moved("only", left=(C,)).judge(story.evidence(load="two")).status is Status.UNKNOWN


def test_the_same_session_at_another_router_is_another() -> None:
    """Two routers need not agree."""
    story = load("one", Story(), 1, x=A)
    story.request(11, C, session="x", load="two", url="http://server2:8000/v1/chat/completions")
    assert Moved("none").judge(story.evidence(load="two")).status is Status.UNKNOWN


def test_a_load_without_sessions_is_a_mistake() -> None:
    """So are options that say nothing together."""
    [said] = Affinity(1.0).lint(TWO_SERVERS, {"chat": "model-1", "sessions": 0})
    assert "has no sessions" in said
    assert len(Moved("only").lint(TWO_SERVERS, {"sessions": 4})) == 1
    assert len(Moved("none", left=(A,)).lint(TWO_SERVERS, {"sessions": 4})) == 1
    assert Moved("only", left=(A,)).lint(TWO_SERVERS, {"sessions": 4}) == []
