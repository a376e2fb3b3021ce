"""Check `logs`."""

from typing import Any

from harness.checks.logs import Logs
from harness.events import FaultHealed, FaultRequested, LogRead, RequestLogged
from harness.verdict import Status
from tests.harness.checks.story import Story

SERVERS = ("babysitter-a", "babysitter-b", "babysitter-c", "babysitter-d")


def served(*names: str) -> Story:
    """One request served by each."""
    story = Story()
    for second, name in enumerate(names):
        story.request(second, name)
    return story


def logged(story: Story, service: str, number: int, line: int = 7) -> Story:
    """A service logged the request with that number."""
    name = f"mu-load-1-{number:06d}"
    return story.add(20, RequestLogged(service=service, request=name, log=f"{service}.log", line=line))


def read(story: Story, *services: str, error: str = "") -> Story:
    """These logs were read, or not."""
    for service in services:
        story.add(30, LogRead(service=service, log=f"{service}.log", lines=9, error=error))
    return story


def test_each_in_its_service_passes() -> None:
    """Requests that stand in the log of whoever served them pass; the router's log does not matter."""
    story = served("babysitter-a-server", "mock-service-b")
    for service, number in (("babysitter-a", 0), ("babysitter-b", 1), ("router", 0), ("router", 1)):
        logged(story, service, number)
    verdict = Logs().judge(read(story, *SERVERS).evidence())
    assert verdict.status is Status.PASS
    assert "each of 2 requests" in verdict.message


def test_a_request_that_is_not_logged_is_named() -> None:
    """A service that served and did not log fails."""
    verdict = Logs().judge(read(served("babysitter-a-server"), *SERVERS).evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-a served requests (as babysitter-a-server) that its log does not hold "
        "(1 request, first mu-load-1-000000 at 00:00.000)"
    )


def test_a_service_that_logs_nothing_is_named_at_once() -> None:
    """While the run goes on, a service whose log stays silent fails when other logs are read."""
    story = logged(served("babysitter-a-server"), "router", 0)
    verdict = Logs().judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-a served requests" in verdict.message


def test_a_request_in_the_wrong_log_is_named_with_its_line() -> None:
    """A request that a second service logged fails, with the place."""
    story = logged(logged(served("babysitter-a-server"), "babysitter-a", 0), "babysitter-c", 0, line=12)
    verdict = Logs().judge(read(story, *SERVERS).evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-c logged requests that babysitter-a served "
        "(1 request, first mu-load-1-000000 at 00:00.000, babysitter-c.log:12)"
    )


def test_a_request_tried_at_a_disturbed_service_may_stand_twice() -> None:
    """A router may ask a second service when the first is killed while it answers, and only then."""
    kill: dict[str, Any] = {"fault": "f1", "what": "kill", "target": "babysitter-c.backend"}
    story = Story().add(0.5, FaultRequested(**kill)).request(1, "babysitter-a-server")
    story.add(2, FaultHealed(**kill, after=0.1, receipt=())).request(3, "babysitter-a-server")
    for service, number in (("babysitter-a", 0), ("babysitter-c", 0), ("babysitter-a", 1)):
        logged(story, service, number)
    read(story, *SERVERS)
    assert Logs().judge(story.evidence()).status is Status.PASS
    assert Logs().judge(logged(story, "babysitter-c", 1).evidence()).status is Status.FAIL


def test_no_readable_log_is_not_applicable() -> None:
    """Where the hosts cannot give logs, the reason is passed on."""
    reason = "nothing says how to read the log of babysitter-a"
    verdict = Logs().judge(read(served("babysitter-a-server"), *SERVERS, error=reason).evidence())
    assert verdict.status is Status.NOT_APPLICABLE
    assert verdict.message == reason


def test_an_unreadable_log_among_readable_ones_is_unknown() -> None:
    """What can be read is judged; a failure there wins over what cannot be read."""
    story = logged(served("babysitter-a-server", "babysitter-c-server"), "babysitter-a", 0)
    read(read(story, "babysitter-a"), "babysitter-c", error="c.log cannot be read: denied")
    verdict = Logs().judge(story.evidence())
    assert verdict.status is Status.UNKNOWN
    assert "c.log cannot be read: denied (1 request, first mu-load-1-000001" in verdict.message
    assert Logs().judge(story.request(40, "babysitter-a-server").evidence()).status is Status.FAIL


def test_nothing_read_or_served_is_unknown() -> None:
    """No answered request, no log, or no name on the answer: unknown."""
    refused = served("a").evidence(since=5)
    assert Logs().judge(refused).status is Status.UNKNOWN
    assert Logs().judge(served("babysitter-a-server").evidence()).status is Status.UNKNOWN
    nameless = Logs().judge(read(served(""), *SERVERS).evidence())
    assert nameless.status is Status.UNKNOWN
    assert "served_by" in nameless.message
