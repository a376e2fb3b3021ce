"""Check `models`."""

import pytest

from harness.checks.models import Models
from harness.evidence import Facts, ServiceFacts
from harness.verdict import Status
from tests.harness.checks.story import TWO_SERVERS, Story


@pytest.mark.parametrize("wanted", ["all", ("model-2", "model-1")])
def test_exactly_these_passes(wanted: tuple[str, ...]) -> None:
    """The same models, in any order, are a pass; `all` are those the topology states."""
    assert (
        Models(wanted, at="router").judge(Story().models(1, "model-1", "model-2").evidence()).status
        is Status.PASS
    )


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (["model-1"], "model-2 is missing (offered by babysitter-b-server and babysitter-d-server)"),
        (["model-1", "model-2", "model-3"], "model-3 was not expected"),
        (["model-1", "model-2", "model-1"], "model-1 stands there 2 times"),
        ([], "router lists nothing"),
    ],
)
def test_each_difference_is_named(listing: list[str], words: str) -> None:
    """A missing, an extra and a repeated model fail, by name."""
    verdict = Models(("model-1", "model-2"), at="router").judge(Story().models(1, *listing).evidence())
    assert verdict.status is Status.FAIL
    assert words in verdict.message


def test_a_silent_router_is_unknown() -> None:
    """A router that does not answer lists nothing that could be judged."""
    story = Story().silence(1, "http://server1:8000/models refused the connection", "router", "models")
    verdict = Models("all").judge(story.evidence())
    assert verdict.status is Status.UNKNOWN
    assert "http://server1:8000/models refused the connection" in verdict.message


def test_a_router_that_fell_silent_is_mentioned() -> None:
    """A failure on an old list says that there is no newer one."""
    story = Story().models(1, "model-1").silence(2, "refused", "router", "models")
    verdict = Models("all").judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message.endswith("; but router has not answered since 00:02.000: refused")


def test_nothing_stated_is_unknown() -> None:
    """`all` of nothing is not a pass."""
    facts = Facts(services=(ServiceFacts(name="router", speaks=("openai",)),))
    assert Models("all").judge(Story(facts=facts).models(1).evidence()).status is Status.UNKNOWN


def test_the_router_is_meant_among_its_backends() -> None:
    """Where backends speak the protocol too, the one that registers nothing itself is looked at."""
    backend = ServiceFacts(name="backend", speaks=("openai",), registers={"backend": ("model-1",)})
    facts = Facts(services=(*TWO_SERVERS.services, backend))
    assert list(Models("all").views(facts)) == [("router", "models")]
