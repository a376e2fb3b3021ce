"""Check `healthy`."""

from harness.checks.healthy import Healthy
from harness.verdict import Status
from tests.harness.checks.story import ALL_NAMES, Story


def test_all_healthy_passes() -> None:
    """Every name there and healthy is a pass."""
    assert Healthy("all").judge(Story().entries(1, *ALL_NAMES).evidence()).status is Status.PASS


def test_the_ill_one_is_named_with_its_url_and_since_when() -> None:
    """An unhealthy entry fails, with where it is registered and since when it is ill."""
    story = Story().entries(1, *ALL_NAMES).entries(2, *ALL_NAMES, ill=["babysitter-b-server"]).same(3)
    verdict = Healthy("all").judge(story.evidence(0, 4))
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-b-server (http://10.0.0.9/babysitter-b-server) is registered at registry but unhealthy, "
        "since 00:02.000, 4.0 s after the step began"
    )


def test_a_missing_one_is_no_healthy_one() -> None:
    """A name that is not registered at all fails as such."""
    verdict = Healthy(("babysitter-a", "babysitter-b")).judge(Story().entries(1, "babysitter-b").evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-a is not registered" in verdict.message


def test_nothing_seen_is_unknown() -> None:
    """Without a look there is no verdict."""
    assert Healthy("all").judge(Story().evidence()).status is Status.UNKNOWN


def test_a_name_nobody_has_is_unknown() -> None:
    """A name that no service has cannot be ill."""
    assert Healthy(("nobody",)).judge(Story().entries(1, *ALL_NAMES).evidence()).status is Status.UNKNOWN
