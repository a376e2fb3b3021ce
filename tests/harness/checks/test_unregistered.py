"""Check `unregistered`."""

from harness.checks.unregistered import Unregistered
from harness.events import FaultProven
from harness.verdict import Status
from tests.harness.checks.story import ALL_NAMES, Story

CUT = FaultProven(fault="f", what="partition", target="server2", after=0.1, receipt=())


def test_a_name_that_stays_is_named() -> None:
    """A name that is still listed fails, with how long after the fault and when it was last seen."""
    story = Story().entries(1, *ALL_NAMES).add(2, CUT).entries(6, *ALL_NAMES[:5], ALL_NAMES[7]).same(9.9)
    verdict = Unregistered(("babysitter-c-server", "babysitter-d-server")).judge(story.evidence(2, 10))
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-d-server was still registered at registry 8.0 s after partition server2, "
        "last seen at 00:09.900"
    )


def test_forgotten_names_pass_with_how_long_it_took() -> None:
    """All gone is a pass that says how long each took."""
    story = Story().entries(1, *ALL_NAMES).add(2, CUT).same(4).entries(5.5, *ALL_NAMES[:-1])
    verdict = Unregistered(("babysitter-d-server",)).judge(story.evidence(2, 6))
    assert verdict.status is Status.PASS
    assert verdict.message == "babysitter-d-server was gone 3.5 s after partition server2"


def test_gone_before_the_window_began() -> None:
    """A name that was gone already took no time within the window; gone at its very start did."""
    story = Story().entries(1, *ALL_NAMES).entries(1.5, *ALL_NAMES[:-1]).same(3)
    check = Unregistered(("babysitter-d-server",))
    assert check.judge(story.evidence(2, 4)).message == "babysitter-d-server was gone before the step began"
    assert "gone 0.0 s after the step began" in check.judge(story.evidence(1.5, 4)).message


def test_a_name_never_seen_is_unknown() -> None:
    """What never was there was not forgotten."""
    verdict = Unregistered(("babysitter-d-server",)).judge(Story().entries(1, "babysitter-a").evidence())
    assert verdict.status is Status.UNKNOWN
    assert "never stood in registry" in verdict.message


def test_a_name_nobody_has_is_unknown() -> None:
    """A misspelt name does not pass for being absent."""
    verdict = Unregistered(("babysiter-d",)).judge(Story().entries(1, *ALL_NAMES).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "no service registers as babysiter-d" in verdict.message


def test_a_silent_registry_is_unknown() -> None:
    """Names are not gone because the registry is."""
    story = Story().entries(1, *ALL_NAMES).silence(3, "refused")
    assert Unregistered(("babysitter-a",)).judge(story.evidence(2, 5)).status is Status.UNKNOWN
