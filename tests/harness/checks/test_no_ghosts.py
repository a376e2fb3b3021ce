"""Check `no_ghosts`: whoever died does not stay registered."""

from typing import Any

from harness.checks.no_ghosts import NoGhosts
from harness.events import FaultHealing, FaultProven, FaultRequested, Seen, ServiceExited, ServiceStarting
from harness.evidence import Facts, ServiceFacts
from harness.verdict import Status
from tests.harness.checks.story import Story

FACTS = Facts(
    services=(
        ServiceFacts(name="registry", host="s1", speaks=("service_registry",)),
        ServiceFacts(name="a", host="s2", registers={"a": (), "a-server": ("m",)}),
        ServiceFacts(name="old", host="s2", registers={"shared": ()}),
        ServiceFacts(name="new", host="s2", registers={"shared": ()}),
    )
)
DIED = ServiceExited(service="a", host="s2", signal="SIGKILL", expected=True)
BACK = ServiceStarting(service="a", host="s2")


def judged(story: Story, longer_than: float = 5.0, **window: Any) -> Any:
    return NoGhosts(longer_than).judge(story.evidence(**window))


def test_a_name_that_outlives_its_service_fails() -> None:
    """Still listed six seconds after its process was killed."""
    story = Story(FACTS).entries(1, "a").add(2, DIED).same(3).same(8.001)
    verdict = judged(story)
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "a still stood in registry 6.0 s after a was ended by SIGKILL at 00:02.000 (at most 5 s are allowed)"
    )


def test_names_that_go_in_time_pass_with_how_long_they_took() -> None:
    """Each name of the service, and when it was first seen to be gone."""
    story = Story(FACTS).entries(1, "a", "a-server").add(2, DIED).entries(2.5, "a-server").entries(4)
    verdict = judged(story)
    assert verdict.status is Status.PASS
    assert verdict.numbers["no_ghosts"]["took"] == {"a at registry": [0.5], "a-server at registry": [2.0]}
    assert "the slowest, a-server, after 2.0 s" in verdict.message


def test_a_service_that_is_started_again_is_no_ghost() -> None:
    """Its name is its own again from the start of its process."""
    assert judged(Story(FACTS).entries(1, "a").add(2, DIED).add(3, BACK).same(9)).status is Status.UNKNOWN


def test_every_death_is_timed() -> None:
    """A service that dies twice has two times."""
    story = Story(FACTS).entries(1, "a").add(2, DIED).entries(2.2).add(3, BACK).entries(4, "a").add(5, DIED)
    assert judged(story.entries(5.4)).numbers["no_ghosts"]["took"] == {"a at registry": [0.2, 0.4]}


def test_a_name_that_somebody_else_has_too_is_no_ghost() -> None:
    """Of two services with one name, one is dead: the name is the other's."""
    died = ServiceExited(service="old", host="s2", signal="SIGKILL", expected=True)
    assert judged(Story(FACTS).entries(1, "shared").add(2, died).same(9)).status is Status.NOT_APPLICABLE
    story = Story(FACTS).entries(1, "shared").add(2, died)
    story.add(3, ServiceExited(service="new", host="s2", code=1)).same(9)
    assert judged(story).status is Status.FAIL


def test_a_host_that_is_cut_off_takes_its_services_along_until_it_is_mended() -> None:
    """Cut is dead; healed is alive."""
    names = {"fault": "f", "what": "partition", "target": "s2"}
    story = Story(FACTS).entries(1, "a").add(2, FaultRequested(**names, hits=("a", "old", "new")))
    story.add(2.1, FaultProven(**names, after=0.1, receipt=()))
    assert judged(story.same(8), until=8).status is Status.FAIL
    healed = Story(FACTS, list(story.records[:-1])).add(3, FaultHealing(**names)).same(9)
    assert judged(healed).status is Status.UNKNOWN


def test_a_frozen_service_has_not_died() -> None:
    """A pause is none of this check's business."""
    names = {"fault": "f", "what": "pause", "target": "a"}
    story = Story(FACTS).entries(1, "a").add(2, FaultRequested(**names, hits=("a",)))
    story.add(2.1, FaultProven(**names, after=0.1, receipt=())).same(9)
    assert judged(story).status is Status.NOT_APPLICABLE


def test_a_registry_nobody_could_look_at_is_unknown() -> None:
    """It died, and nobody saw what the registry showed after that."""
    story = Story(FACTS).entries(1, "a").add(2, DIED).silence(9, "refused")
    assert judged(story).status is Status.UNKNOWN


def test_a_time_that_is_not_over_is_no_failure() -> None:
    """Listed for three of five seconds so far."""
    assert judged(Story(FACTS).entries(1, "a").add(2, DIED).same(5)).status is Status.UNKNOWN


def test_a_registry_of_replicas_is_one_too() -> None:
    """One that speaks only that protocol is looked at by its replicas; one that speaks both, once."""
    both = ServiceFacts(name="r", speaks=("service_registry", "capability_registry"))
    replicas = ServiceFacts(name="q", speaks=("capability_registry",))
    assert NoGhosts().views(Facts(services=(both, replicas))) == [("r", "services"), ("q", "replicas")]


def test_a_look_that_began_before_the_death_was_noticed_may_show_it() -> None:
    """Its process was seen to end while the registry, which had heard before, was being read."""
    gone = Seen(source="registry", view="services", ok=True, took=0.2, value={})
    verdict = judged(Story(FACTS).entries(1, "a").add(2, DIED).add(2.1, gone).add(2.15, BACK))
    assert verdict.numbers["no_ghosts"]["took"] == {"a at registry": [0.1]}


def test_who_dies_together_with_the_registry_is_not_its_ghost() -> None:
    """What a registry shows that was down itself says nothing."""
    story = Story(FACTS).entries(1, "a").add(2, ServiceExited(service="registry", host="s1", code=1))
    assert judged(story.add(2.1, DIED).same(9)).status is Status.UNKNOWN


def test_a_death_before_the_window_is_not_judged() -> None:
    """Beside a step, only what happened since it began counts."""
    story = Story(FACTS).entries(1, "a").add(2, DIED).same(9)
    assert judged(story, since=3).status is Status.NOT_APPLICABLE
