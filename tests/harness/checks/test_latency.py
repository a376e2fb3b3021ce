"""Checks `latency` and `streamed`: how long answers took, and whether streams came as they were made."""

from harness.checks.latency import Latency
from harness.checks.streamed import Streamed
from harness.verdict import Status
from tests.harness.checks.story import TWO_SERVERS, Story


def test_answers_in_time_pass() -> None:
    """The slowest of them is told."""
    story = Story().request(1, started=0.9).request(2, started=1.6)
    verdict = Latency(0.5).judge(story.evidence())
    assert (verdict.status, verdict.message) == (Status.PASS, "the slowest of 2 answers took 0.400 s")


def test_late_answers_are_named() -> None:
    """With how long they took and who gave them; a share of them may be allowed."""
    story = Story().request(1, "a", started=0.9).request(3, "c", started=1.5)
    verdict = Latency(0.5).judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "1 of 2 answers took longer than 0.5 s: mu-load-1-000001 at 00:01.500 took 1.500 s from c"
    )
    assert Latency(0.5, share=0.5).judge(story.evidence()).status is Status.PASS
    assert Latency(0.5, share=0.6).judge(story.evidence()).status is Status.FAIL


def test_the_beginning_of_an_answer_may_be_timed() -> None:
    """The first byte, or a stream's first chunk."""
    story = Story().request(9, started=1.0, first_byte=1.2, first_chunk=4.0, stream=True, chunks=5)
    assert Latency(0.5, of="first_byte").judge(story.evidence()).status is Status.PASS
    assert Latency(0.5, of="first_chunk").judge(story.evidence()).status is Status.FAIL
    assert Latency(5, of="first_chunk").judge(story.evidence()).status is Status.PASS


def test_failed_requests_are_not_timed() -> None:
    """Where only they are, nothing is known."""
    story = Story().request(9, started=1.0, outcome="error", status=502)
    assert Latency(0.5).judge(story.evidence()).status is Status.UNKNOWN


def test_streams_that_come_as_they_are_made_pass() -> None:
    """The first chunk of one came after an eighth of its time."""
    story = Story().request(9, started=1.0, first_chunk=2.0, stream=True, chunks=8)
    verdict = Streamed(0.5).judge(story.evidence())
    assert (verdict.status, verdict.message) == (
        Status.PASS,
        "each of 1 stream began within 12 % of its time",
    )


def test_a_stream_that_was_collected_fails() -> None:
    """It began when it ended."""
    story = Story().request(9, "a", started=1.0, first_chunk=8.9, stream=True, chunks=8)
    verdict = Streamed(0.5).judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "1 of 1 stream did not begin within 50 % of their time: mu-load-1-000000 from a took 8.000 s for 8 "
        "chunks, the first of which came after 98.8 % of it"
    )


def test_streams_too_short_to_tell_are_unknown() -> None:
    """So are answers that are no streams."""
    short = Story().request(9, started=1.0, first_chunk=8.9, stream=True, chunks=3)
    assert Streamed(0.5).judge(short.evidence()).status is Status.UNKNOWN
    assert Streamed(0.5).judge(Story().request(9, started=1.0).evidence()).status is Status.UNKNOWN


def test_chunks_of_what_is_no_stream_are_a_mistake() -> None:
    """Both checks say so before anything starts."""
    assert len(Latency(1.0, of="first_chunk").lint(TWO_SERVERS, {"stream": False})) == 1
    assert len(Streamed(0.5).lint(TWO_SERVERS, {"stream": False})) == 1
    assert Streamed(0.5).lint(TWO_SERVERS, {"stream": True}) == []
