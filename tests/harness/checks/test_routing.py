"""Check `routing`: the right set, never outside it, 404 exactly when it is empty."""

from typing import Any

import pytest

from harness.checks.routing import Routing
from harness.events import Event, FaultRequested, RequestDone, Seen, ServiceExited
from harness.evidence import Facts, ServiceFacts
from harness.verdict import Status
from tests.harness.checks.story import Story

CHAT, EMBED = ({"type": "chat"},), ({"type": "embed"},)
FACTS = Facts(
    services=(
        ServiceFacts(name="registry", speaks=("capability_registry",), url="http://r"),
        ServiceFacts(name="a", registers={"a": ()}, capabilities={"a": CHAT}),
        ServiceFacts(name="b", registers={"b": ()}, capabilities={"b": EMBED}),
    )
)


class Routed(Story):
    """A story of queries."""

    def table(self, t: float, *names: str, **changes: Any) -> "Routed":
        """The registry showed these replicas."""
        entry = {"endpoint": "h:1", "capabilities": [], "routable": True, **changes}
        value = dict.fromkeys(names, entry)
        self.add(t, Seen(source="registry", view="replicas", ok=True, took=0.001, value=value))
        return self

    def asked(self, t: float, by: str = "", endpoint: str = "h:1", **query: str) -> "Routed":
        """A query was answered with a replica, or with 404."""
        self.request(
            t,
            by,
            "",
            method="GET",
            url="http://r/route",
            query=query,
            content=endpoint if by else "",
            status=200 if by else 404,
        )
        return self


def verdict_of(story: Story) -> Any:
    return Routing().judge(story.evidence())


def test_right_answers_pass_and_are_counted() -> None:
    """A replica that can do it, and 404 where nobody can."""
    story = (
        Routed(FACTS).table(1, "a", "b").asked(2, "a", type="chat").asked(2.1, type="x").table(3, "a", "b")
    )
    verdict = verdict_of(story)
    assert verdict.status is Status.PASS
    assert verdict.numbers["routing"] == {
        "judged": 2,
        "open": 0,
        "named": {"a": 1},
        "refused": 1,
        "queries": 2,
    }


def test_a_replica_outside_the_set_fails() -> None:
    """Whoever is named must be able to do it, whatever the registry believes of it."""
    story = (
        Routed(FACTS)
        .table(1, "a", "b", capabilities=[{"type": "chat"}])
        .asked(2, "b", type="chat")
        .table(3, "a", "b")
    )
    verdict = verdict_of(story)
    assert verdict.status is Status.FAIL
    assert (
        "b was named for type=chat, which it cannot do (1 request, first mu-load-1-000000" in verdict.message
    )


def test_404_although_somebody_can_fails() -> None:
    """There is a replica, before and after, and the registry says there is none."""
    verdict = verdict_of(Routed(FACTS).table(1, "a").asked(2, type="chat").table(3, "a"))
    assert (verdict.status, "although a can do it" in verdict.message) == (Status.FAIL, True)


def test_a_replica_that_was_not_registered_fails() -> None:
    """Named, though listed neither before nor after."""
    verdict = verdict_of(Routed(FACTS).table(1, "b").asked(2, "a", type="chat").table(3, "b"))
    assert (verdict.status, "was not registered then" in verdict.message) == (Status.FAIL, True)


def test_an_old_endpoint_fails() -> None:
    """The replica is right, the place is not where it is listed."""
    verdict = verdict_of(Routed(FACTS).table(1, "a").asked(2, "a", "h:9", type="chat").table(3, "a"))
    assert (verdict.status, "said to be at h:9, but is at h:1" in verdict.message) == (Status.FAIL, True)


def test_nobody_is_sent_to_who_drains() -> None:
    """Listed and not routable: naming it is wrong, 404 is right."""
    named = (
        Routed(FACTS).table(1, "a", routable=False).asked(2, "a", type="chat").table(3, "a", routable=False)
    )
    refused = Routed(FACTS).table(1, "a", routable=False).asked(2, type="chat").table(3, "a", routable=False)
    assert verdict_of(named).status is Status.FAIL
    assert verdict_of(refused).status is Status.PASS


def test_either_answer_is_right_while_the_table_changes() -> None:
    """A replica that goes between two looks may have been named or not."""
    story = Routed(FACTS).table(1, "a").asked(1.5, "a", type="chat").asked(1.6, type="chat").table(2)
    assert verdict_of(story).status is Status.PASS


def test_disturbances_between_two_looks_leave_it_open() -> None:
    """Somebody was killed and may have come back: 404 in between proves nothing, a wrong replica does."""
    hit = FaultRequested(fault="f", what="kill", target="a", hits=("a",))
    story = Routed(FACTS).table(1, "a").add(1.4, hit)
    assert isinstance(story, Routed)
    assert verdict_of(story.asked(1.5, type="chat").table(2, "a")).status is Status.UNKNOWN
    assert verdict_of(story.asked(2.5, "b", type="chat")).status is Status.FAIL


def test_what_contradicts_the_last_look_waits_for_the_next() -> None:
    """Until the registry was looked at again nobody knows; then it is a failure."""
    story = Routed(FACTS).table(1, "a").asked(2, type="chat")
    assert verdict_of(story).status is Status.UNKNOWN
    assert verdict_of(story.table(3, "a")).status is Status.FAIL


def test_what_agrees_with_the_last_look_need_not_wait() -> None:
    """A right answer is right at once."""
    assert verdict_of(Routed(FACTS).table(1, "a").asked(2, "a", type="chat")).status is Status.PASS


def test_failed_queries_alone_are_unknown() -> None:
    """A registry that does not answer is no registry that answers right."""
    story = Routed(FACTS).table(1, "a")
    story.request(2, url="http://r/route", outcome="error", error="refused")
    verdict = verdict_of(story.table(3, "a"))
    assert (verdict.status, "no query was answered" in verdict.message) == (Status.UNKNOWN, True)


def test_it_asks_for_as_many_requests_as_there_are_queries() -> None:
    """`requests: auto` asks everything three times; too few are refused before the start."""
    needed = Routing().sample(FACTS, "")
    assert needed % 3 == 0
    assert Routing().lint(FACTS, {"query": "mixed", "requests": needed // 3}) == []
    (mistake,) = Routing().lint(FACTS, {"query": "mixed", "requests": needed // 3 - 1})
    assert "requests: auto" in mistake


def test_queries_to_another_registry_are_not_judged() -> None:
    """Of two registries each answers for itself."""
    story = Routed(FACTS).table(1, "a")
    story.request(2, "b", "", url="http://other/route", query={"type": "chat"}, content="h:1")
    assert verdict_of(story.table(3, "a")).message == "no request was sent"


def forgotten() -> Routed:
    """Listed at 1, not at 2 any more, and asked for at 3."""
    return Routed(FACTS).table(1, "a", "b").table(2, "b")


def test_a_living_replica_that_was_forgotten_should_have_been_named() -> None:
    """It is neither listed nor named; its process runs, nobody did anything to it: that is the registry's fault."""
    verdict = verdict_of(forgotten().asked(3, type="chat").table(4, "b"))
    assert verdict.status is Status.FAIL
    assert (
        "although a (last listed at 00:01.000) can do it: it lives, and nothing was done" in verdict.message
    )
    assert verdict_of(forgotten().asked(3, "b", type="embed").table(4, "b")).status is Status.PASS


@pytest.mark.parametrize(
    "event",
    [
        FaultRequested(fault="f", what="pause", target="a", hits=("a",)),
        ServiceExited(service="a", host="", code=0, signal=""),
        RequestDone(
            id="x", load="", method="DELETE", url="http://r/register/a", started=1, ended=1, outcome="ok"
        ),
    ],
)
@pytest.mark.parametrize("t", [0.5, 1.5])
def test_what_was_done_excuses_its_absence(event: Event, t: float) -> None:
    """Disturbed, ended or taken out, before or after it was last listed: 404 may be right."""
    story = Routed(FACTS)
    if t < 1:
        story.add(t, event)
    story.table(1, "a", "b")
    if t > 1:
        story.add(t, event)
    verdict = verdict_of(story.table(2, "b").asked(13, type="chat").table(14, "b"))
    assert "it lives" not in verdict.message
