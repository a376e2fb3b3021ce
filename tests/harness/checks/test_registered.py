"""Check `registered`."""

from dataclasses import replace

from harness.checks.registered import Registered
from harness.events import FaultProven, ServiceExited, ServiceStarting
from harness.evidence import Facts
from harness.verdict import Status
from tests.harness.checks.story import ALL_NAMES, Story


def test_all_there_passes() -> None:
    """Every stated name in the latest answer is a pass."""
    verdict = Registered("all").judge(Story().entries(1, *ALL_NAMES).evidence())
    assert verdict.status is Status.PASS
    assert verdict.message == "all 8 names are registered at registry"


def test_missing_name_is_named_with_times() -> None:
    """A name that is gone fails with when it was last seen and what the window began with."""
    story = (
        Story()
        .entries(1, *ALL_NAMES)
        .add(2, FaultProven(fault="f", what="kill", target="babysitter-d", after=0.1, receipt=()))
    )
    story.entries(3, *ALL_NAMES[:-1])
    verdict = Registered(("babysitter-a-server", "babysitter-d-server")).judge(story.evidence(2, 10))
    assert verdict.status is Status.FAIL
    assert not verdict.settled
    assert verdict.message == (
        "babysitter-d-server is not registered at registry (last seen at 00:01.000), "
        "8.0 s after kill babysitter-d"
    )


def test_never_seen_is_said() -> None:
    """A name that was never there is called so."""
    verdict = Registered("all").judge(Story().entries(1, *ALL_NAMES[1:]).evidence())
    assert "babysitter-a is not registered at registry (never seen)" in verdict.message


def test_a_service_that_exited_will_not_register() -> None:
    """The failure is settled, and names the exit with its last words, as soon as the owner has ended."""
    exited = ServiceExited(service="babysitter-a", host="server1", code=1, last_lines=("no such file",))
    verdict = Registered(("babysitter-a-server",)).judge(Story().entries(1).add(2, exited).evidence())
    assert verdict.status is Status.FAIL
    assert verdict.settled
    assert verdict.message.startswith(
        "babysitter-a exited with code 1 ('no such file') at 00:02.000 and was not started again"
    )


def test_a_service_that_was_started_again_may_still_register() -> None:
    """An exit that was followed by a start, or that the harness caused, settles nothing."""
    exited = ServiceExited(service="babysitter-a", host="server1", code=1)
    started = ServiceStarting(service="babysitter-a", host="server1")
    wanted = ServiceExited(service="babysitter-b", host="server1", signal="SIGKILL", expected=True)
    story = Story().entries(1).add(2, exited).add(3, started).add(4, wanted)
    assert not Registered(("babysitter-a-server", "babysitter-b-server")).judge(story.evidence()).settled


def test_a_silent_registry_is_unknown_with_its_last_error() -> None:
    """A registry that never answered in the window says nothing; its last error is shown, and since when."""
    story = Story().entries(0.5, *ALL_NAMES).silence(2, "refused").silence(3, "http://server1:18000 refused")
    verdict = Registered("all").judge(story.evidence(1, 5))
    assert verdict.status is Status.UNKNOWN
    assert verdict.message == "registry has not answered since 00:02.000: http://server1:18000 refused"


def test_a_registry_that_fell_silent_is_mentioned() -> None:
    """A failure on an old answer says that there is no newer one."""
    story = Story().entries(1, *ALL_NAMES[:-1]).silence(2, "refused")
    verdict = Registered("all").judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "registry has not answered since 00:02.000: refused" in verdict.message


def test_nobody_looked_is_unknown() -> None:
    """Without any observation in the window nothing is judged."""
    verdict = Registered("all").judge(Story().entries(0.5, *ALL_NAMES).evidence(1, 5))
    assert verdict.status is Status.UNKNOWN
    assert "nobody looked" in verdict.message


def test_a_name_nobody_has_is_unknown() -> None:
    """A name that no service registers and no registry ever showed is not a failure of the system."""
    verdict = Registered(("babysitter-x",)).judge(Story().entries(1, *ALL_NAMES).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "no service registers as babysitter-x" in verdict.message


def test_a_stranger_that_left_is_missing() -> None:
    """A name that no topology states, but the registry once showed, can be missed."""
    verdict = Registered(("ghost",)).judge(Story().entries(1, "ghost").entries(2).evidence())
    assert verdict.status is Status.FAIL
    assert "ghost is not registered at registry (last seen at 00:01.000)" in verdict.message


def test_nothing_stated_is_unknown() -> None:
    """`all` of nothing is not a pass."""
    facts = Facts(services=Story().facts.services[:1])
    assert Registered("all").judge(Story(facts=facts).entries(1).evidence()).status is Status.UNKNOWN


def test_too_few_serve() -> None:
    """`serving_at_least` counts healthy entries that offer models, and names them when they are too few."""
    story = Story().entries(1, *ALL_NAMES, ill=["babysitter-d-server"])
    verdict = Registered("all", serving_at_least=4).judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "healthy services with models at registry: 3 (babysitter-a-server, " in verdict.message
    assert Registered("all", serving_at_least=3).judge(story.evidence()).status is Status.PASS


def test_what_is_asked_for_from_outside_counts_for_all() -> None:
    """`--expect-services 5` (a fact of the run) fails `all` where four serve, and leaves named lists alone."""
    story = Story(facts=replace(Story().facts, serving_at_least=5)).entries(1, *ALL_NAMES)
    verdict = Registered("all").judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert "at least 5 should be there" in verdict.message
    assert Registered(ALL_NAMES).judge(story.evidence()).status is Status.PASS


def test_two_registries_need_a_name() -> None:
    """Where several services speak the protocol, the check asks which one is meant."""
    facts = Story().facts
    doubled = Facts(services=(*facts.services, *facts.services[:1]))
    verdict = Registered("all").judge(Story(facts=doubled).entries(1, *ALL_NAMES).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "at: SERVICE" in verdict.message
    assert list(Registered("all").views(doubled)) == []
    assert list(Registered("all").views(facts)) == [("registry", "services")]
