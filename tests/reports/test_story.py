"""How records are told."""

from __future__ import annotations

import pytest

from harness.events import EVENTS, Called, RequestDone, Seen, ServiceExited
from harness.history import Record
from reports.story import BAD_REQUESTS, TELL, Story, timeline_of


def record(n: int, event: object) -> Record:
    return Record(n, float(n), 0.0, "", event)  # type: ignore[arg-type]  # tests hand in any event


def seen(*names: str, same: bool = False) -> Seen:
    value = None if same else {name: {"healthy": True, "url": "", "models": []} for name in names}
    return Seen(source="registry", view="services", ok=True, took=0.0, same=same, value=value)


def told(*events: object, about: str = "") -> list[str]:
    records = [record(n, event) for n, event in enumerate(events)]
    story = Story(records)
    return [story.line(r, about).text for r in records]


def test_every_event_can_be_told() -> None:
    """A new kind of event needs a sentence before it can stand in a report."""
    assert set(TELL) | {Seen} == set(EVENTS.values())


def test_a_view_is_told_by_what_changed() -> None:
    """What came, what went and what is different is named; the rest is not."""
    assert told(seen("a", "b"), seen("b", "c"), seen(same=True)) == [
        "services: a, b listed",
        "services: a gone; c listed",
        "services: unchanged (b, c)",
    ]


def test_a_view_that_stays_is_told_by_the_names_that_matter() -> None:
    """Below a step that asks for a name, an unchanged view says whether that name is still there."""
    assert (
        told(seen("a", "b"), seen(same=True), about="b was still registered")[1] == "services: still lists b"
    )


def test_a_source_that_does_not_answer_is_told_once() -> None:
    """Ten refused connections in a row are one line of the timeline; the answer after them another."""
    refused = Seen(source="registry", view="services", ok=False, took=0.0, error="connection refused")
    records = [record(n, e) for n, e in enumerate([seen("a"), *[refused] * 10, seen(same=True)])]
    lines, left_out = timeline_of(records, Story(records))
    assert [line.text for line in lines] == [
        "services: a listed",
        "services: no answer: connection refused",
        "services: unchanged (a)",
    ]
    assert left_out == 0


@pytest.mark.parametrize(
    ("exit_", "text"),
    [
        (
            ServiceExited(service="s", host="h", code=3, last_lines=("boom",)),
            "exited with code 3; last words: boom",
        ),
        (
            ServiceExited(service="s", host="h", signal="SIGKILL", expected=True),
            "ended by SIGKILL (by the harness)",
        ),
    ],
)
def test_a_death_is_told_with_its_last_words(exit_: ServiceExited, text: str) -> None:
    """Who ended it is said; its last line only when it died by itself."""
    assert told(exit_) == [text]


def test_a_call_without_an_answer_is_told_with_its_error() -> None:
    """The error stands where the status would."""
    called = Called(method="GET", url="http://x/", took=0.02, error="timed out")
    assert told(called) == ["GET http://x/: timed out, 20 ms"]


def test_a_storm_of_failed_requests_does_not_flood_the_timeline() -> None:
    """Only the first failed requests are told one by one; the others are counted as left out."""
    request = RequestDone(
        load="l", id="x", method="GET", url="", outcome="error", started=0.0, ended=0.1, error="refused"
    )
    records = [record(n, request) for n in range(BAD_REQUESTS + 50)]
    lines, left_out = timeline_of(records, Story(records))
    assert (len(lines), left_out) == (BAD_REQUESTS, 50)
