"""Check `availability`."""

from typing import Any

from harness.checks.availability import Availability
from harness.events import CUT_OFF
from harness.verdict import Status
from tests.harness.checks.story import Story


def test_all_answered_passes() -> None:
    """Every request ok is a pass, with its numbers."""
    story = Story().request(1, "a").request(2, "a")
    verdict = Availability(1.0).judge(story.evidence())
    assert verdict.status is Status.PASS
    assert verdict.numbers["availability"]["share"] == 1.0
    assert verdict.evidence == ()


def test_failed_requests_are_told_with_id_time_and_server() -> None:
    """The first failures are named; the rest are counted."""
    story = Story().request(1, "a")
    for second in range(2, 8):
        story.request(second, "babysitter-c-server", outcome="error", status=503, error="503: gone")
    verdict = Availability(1.0).judge(story.request(8, "a").evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "6 of 8 requests failed, so 25 % were answered "
        "(wanted 100 %; longest time without an answer 7.00 s (00:01.000 to 00:08.000)): "
        "mu-load-1-000001 at 00:02.000: 503: gone, from babysitter-c-server; "
        "mu-load-1-000002 at 00:03.000: 503: gone, from babysitter-c-server; "
        "mu-load-1-000003 at 00:04.000: 503: gone, from babysitter-c-server; and 3 more"
    )
    assert verdict.evidence == (1, 2, 3, 4, 5, 6)


def test_a_share_may_fail() -> None:
    """As many as allowed may fail, and no more."""
    story = Story()
    for second in range(9):
        story.request(second)
    story.request(10, outcome="error", status=500)
    assert Availability(0.9).judge(story.evidence()).status is Status.PASS
    assert Availability(0.91).judge(story.evidence()).status is Status.FAIL


def test_a_broken_stream_is_no_answer() -> None:
    """A stream that did not come whole has failed, whatever its status."""
    story = Story().request(1, stream=True, complete=False, chunks=3)
    verdict = Availability(1.0).judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "the stream broke off after 3 chunks" in verdict.message
    whole = Story().request(1, stream=True, complete=True, chunks=3)
    assert Availability(1.0).judge(whole.evidence()).status is Status.PASS


def test_a_gap_is_named() -> None:
    """A time without a good answer that is longer than allowed fails, with its bounds."""
    story = Story().request(1).request(1.2).request(3).request(3.1)
    verdict = Availability(1.0, max_gap=0.5).judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "longest time without an answer 1.80 s (00:01.200 to 00:03.000)" in verdict.message
    assert Availability(1.0, max_gap=2.0).judge(story.evidence()).status is Status.PASS


def test_no_answer_in_time_is_a_failure_but_a_load_cut_short_is_not() -> None:
    """A hung request counts; one that was under way when the load ended does not."""
    hung: dict[str, Any] = {"outcome": "unknown", "status": None, "error": "no whole answer within 30 s"}
    cut: dict[str, Any] = {
        "outcome": "unknown",
        "status": None,
        "error": CUT_OFF,
    }
    assert Availability(1.0).judge(Story().request(1).request(31, **hung).evidence()).status is Status.FAIL
    verdict = Availability(1.0).judge(Story().request(1).request(2, **cut).evidence())
    assert verdict.status is Status.PASS
    assert verdict.numbers["availability"]["cut_off"] == 1


def test_nothing_sent_is_unknown() -> None:
    """No request, or none that came to an end, is not 100 %."""
    cut: dict[str, Any] = {
        "outcome": "unknown",
        "status": None,
        "error": CUT_OFF,
    }
    assert Availability(1.0).judge(Story().evidence()).status is Status.UNKNOWN
    verdict = Availability(1.0).judge(Story().request(1, **cut).evidence())
    assert verdict.status is Status.UNKNOWN
    assert verdict.message == "every request was still under way when its load ended, or its client left"


def test_only_its_own_load_is_judged() -> None:
    """Beside a load, the requests of other loads do not count."""
    story = Story().request(1, load="other", outcome="error", status=500).request(2)
    assert Availability(1.0).judge(story.evidence(load="load-1")).status is Status.PASS
    assert Availability(1.0).judge(story.evidence()).status is Status.FAIL
