"""Check `http`."""

from typing import Any

import pytest

from harness.checks.http import Http
from harness.events import Called, Seen
from harness.verdict import Status
from tests.harness.checks.story import Story

URL = "http://server1:18000/health"


def called(**fields: Any) -> Story:
    about: dict[str, Any] = {"method": "GET", "url": URL, "took": 0.01, "status": 200}
    return Story().add(1, Called(**about | fields))


@pytest.mark.parametrize(
    "check",
    [
        Http(),
        Http(status=200),
        Http(headers={"Content-Type": "application/json"}),
        Http(json={"status": "healthy", "n": {"list": [{"id": 1}]}}),
        Http(contains="healthy", matches="[0-9]+"),
    ],
)
def test_what_is_stated_passes(check: Http) -> None:
    """Status, headers, a part of the JSON, text: what is not mentioned may be anything."""
    body = {"status": "healthy", "n": {"list": [{"id": 1, "more": 2}], "x": 1}}
    story = called(headers={"content-type": "application/json", "x": "y"}, body="healthy 42", json=body)
    assert check.judge(story.evidence()).status is Status.PASS


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Http(), "status: wanted 2xx, got 503 (no backend)"),
        (Http(status=200), "status: wanted 200, got 503"),
        (Http(status=503, headers={"x-a": "1"}), "header x-a: wanted 1, got nothing"),
        (Http(status=503, json={"a": {"b": [1, 2]}}), "json.a.b[1]: wanted 2, got 3"),
        (Http(status=503, json={"a": {"c": "nothing"}}), "json.a.c: wanted nothing, got nothing"),
        (Http(status=503, json={"a": {"b": [1]}}), "json.a.b: wanted [1], got [1, 3]"),
        (Http(status=503, json={"yes": 1}), "json.yes: wanted 1, got True"),
        (Http(status=503, contains="backends"), "body: wanted ... backends ..., got no backend"),
        (Http(status=503, matches="^back"), "body: wanted a match of /^back/, got no backend"),
    ],
)
def test_each_difference_is_shown(check: Http, words: str) -> None:
    """Path, wanted and got are named for whatever differs."""
    story = called(status=503, body="no backend", json={"a": {"b": [1, 3]}, "yes": True})
    verdict = check.judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message.startswith(f"GET {URL}: ")
    assert words in verdict.message


def test_a_call_without_an_answer_fails() -> None:
    """A call that ended in an error is a failure with that error."""
    verdict = Http().judge(called(status=None, error=f"{URL} refused the connection").evidence())
    assert verdict.status is Status.FAIL
    assert "refused the connection" in verdict.message


def test_no_call_is_unknown() -> None:
    """Nothing called in the window, nothing judged."""
    assert Http(status=200).judge(called().evidence(since=2)).status is Status.UNKNOWN


def test_a_path_at_a_service_is_observed() -> None:
    """A URL is looked at, and judged on its latest answer."""
    check = Http("/health", at="registry", status=200)
    assert list(check.views(Story().facts)) == [("registry", f"http:{URL}")]
    story = Story()
    for second, status in ((1, 503), (2, 200)):
        value = {"status": status, "headers": {}, "body": "", "json": None}
        story.add(second, Seen(source="registry", view=f"http:{URL}", ok=True, took=0.1, value=value))
    assert check.judge(story.evidence(0, 1.5)).status is Status.FAIL
    assert check.judge(story.evidence()).status is Status.PASS


def test_a_silent_url_fails() -> None:
    """A URL that does not answer fails with how and since when; one that nobody looked at is unknown."""
    check = Http(URL, status=200)
    story = Story().silence(1, f"{URL} refused the connection", "", f"http:{URL}")
    verdict = check.judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == f"no answer 1.0 s after the step began: {URL} refused the connection"
    assert check.judge(Story().evidence()).status is Status.UNKNOWN


def test_a_path_at_nobody_is_unknown() -> None:
    """A path needs a service with a URL."""
    verdict = Http("/health", at="nobody").judge(called().evidence())
    assert verdict.status is Status.UNKNOWN
    assert "no service 'nobody'" in verdict.message


def test_mistakes_are_seen_before_the_start() -> None:
    """A path without a service and a pattern that is none are named by lint."""
    found = Http("/health", matches="(").lint(Story().facts, {})
    assert "'/health' is a path" in found[0]
    assert "'(' is not a regular expression" in found[1]
    assert Http("{registry.url}/health").lint(Story().facts, {}) == []
