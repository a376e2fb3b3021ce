"""Check `distribution`."""

import random
from dataclasses import replace
from typing import Any

import pytest

from harness.checks.distribution import Distribution
from harness.evidence import Facts
from harness.verdict import Status
from tests.harness.checks.story import TWO_SERVERS, Story

A, C = "babysitter-a-server", "babysitter-c-server"
EVEN = Distribution("round-robin", over=(A, C))


def spread(**served: int) -> Story:
    """Requests served so many times by each (`a=3, c=5`), in turns."""
    names = [letter for letter, number in served.items() for _ in range(number)]
    random.Random(7).shuffle(names)
    story = Story()
    for number, letter in enumerate(names):
        story.request(number / 1000, f"babysitter-{letter}-server")
    return story


def test_an_even_spread_passes_with_its_numbers() -> None:
    """Equal shares of a sufficient sample pass, and the report gets counts, intervals and the detectable bias."""
    verdict = EVEN.judge(spread(a=651, c=651).evidence())
    assert verdict.status is Status.PASS
    numbers = verdict.numbers["distribution"]
    assert numbers["policy"] == "round-robin"
    assert numbers["n"] == 1302
    assert numbers["backends"][A]["observed"] == numbers["backends"][A]["expected"] == 651
    assert numbers["backends"][A]["low"] < 0.5 < numbers["backends"][A]["high"]
    assert numbers["p_value"] == 1.0
    assert numbers["detectable"] == pytest.approx(0.1, rel=0.01)


def test_a_bias_is_found_and_named() -> None:
    """A 60/40 spread fails with both counts and how unlikely it is."""
    verdict = EVEN.judge(spread(a=782, c=520).evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message.startswith(
        "round-robin is off: babysitter-a-server served 782 of 1302 (60.1 % instead of 50 %), "
        "babysitter-c-server served 520 of 1302 (39.9 % instead of 50 %); "
        "a correct one is that far off once in "
    )


def test_one_that_serves_nothing_is_named() -> None:
    """Everything on one backend fails even with a small sample."""
    verdict = EVEN.judge(spread(a=30).evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-c-server served none of 30" in verdict.message


def test_a_stranger_that_serves_is_named() -> None:
    """A request served by somebody outside `over` fails."""
    verdict = EVEN.judge(spread(a=651, c=651, b=1).evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-b-server served 1 of 1303 answers" in verdict.message


def test_a_ghost_in_the_registry_is_a_stranger() -> None:
    """A name that no topology states, but a registry shows, serves where it should not."""
    story = spread(a=5, c=5).entries(1, "ghost").request(2, "ghost")
    assert EVEN.judge(story.evidence()).status is Status.FAIL


def test_a_name_that_nobody_knows_is_unknown() -> None:
    """An answering name that neither topology nor registry knows says what to configure."""
    verdict = EVEN.judge(spread(a=5, c=5).request(2, "mock-x").evidence())
    assert verdict.status is Status.UNKNOWN
    assert "answers_as" in verdict.message


def test_too_few_answers_are_unknown_and_say_how_many() -> None:
    """Ten requests, five each, prove nothing."""
    verdict = EVEN.judge(spread(a=5, c=5).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "takes 1302 answers" in verdict.message


def test_failed_requests_are_told_and_not_counted() -> None:
    """Requests that failed belong to nobody's share."""
    story = spread(a=651, c=651).request(2, A, outcome="error", status=503, error="503: gone")
    verdict = EVEN.judge(story.evidence())
    assert verdict.status is Status.PASS
    assert "not counted: 1 failed request (mu-load-1-001302 at 00:02.000: 503: gone" in verdict.message


def test_an_answering_name_counts_for_its_service() -> None:
    """`mock-service-a` is babysitter-a's backend."""
    story = Story()
    for number in range(1302):
        story.request(number / 1000, "mock-service-a" if number % 2 else C)
    assert EVEN.judge(story.evidence()).status is Status.PASS


def test_unattributed_answers_are_unknown() -> None:
    """Without names there are no shares."""
    verdict = EVEN.judge(Story().request(1).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "served_by" in verdict.message


def test_nothing_to_spread_is_unknown() -> None:
    """Nothing sent, nobody known, or one alone: unknown."""
    assert EVEN.judge(Story().evidence()).status is Status.UNKNOWN
    assert Distribution("even", over=(A,)).judge(spread(a=9).evidence()).status is Status.UNKNOWN
    assert Distribution("even").judge(Story(facts=Facts()).request(1, A).evidence()).status is Status.UNKNOWN


def test_over_is_whoever_offers_the_model() -> None:
    """Left out, the services are those the topology states for the model of the requests."""
    assert Distribution("even").judge(spread(a=651, c=651).evidence()).status is Status.PASS
    assert Distribution("even").sample(TWO_SERVERS, "model-1") == 1302


def test_weights_are_shares() -> None:
    """`weighted` expects shares in proportion, and finds equal ones wrong."""
    check = Distribution("weighted", weights={A: 3, C: 1})
    assert check.judge(spread(a=900, c=300).evidence()).status is Status.PASS
    assert check.judge(spread(a=600, c=600).evidence()).status is Status.FAIL


def test_four_backends() -> None:
    """More than two share alike; one that is off is found."""
    four = Distribution("even", over=(A, C, "babysitter-b-server", "babysitter-d-server"))
    assert four.judge(spread(a=300, b=300, c=300, d=300).evidence()).status is Status.PASS
    assert four.judge(spread(a=420, b=260, c=260, d=260).evidence()).status is Status.FAIL


@pytest.mark.parametrize(("detect", "needed"), [(0.1, 1302), (0.25, 195), (0.4, 66), (0.05, 5225)])
def test_samples_are_computed(detect: float, needed: int) -> None:
    """`requests: auto` gets the exact number for the bias asked for."""
    assert Distribution("random", over=(A, C), detect=detect).sample(TWO_SERVERS, "model-1") == needed


@pytest.mark.parametrize(
    "load", [{"requests": 100}, {"rate": 10.0, "seconds": 5.0}, {"rate": 10.0, "for": 5.0}]
)
def test_a_sample_too_small_is_seen_before_the_start(load: dict[str, Any]) -> None:
    """A hand-written number that cannot decide is a mistake that says the needed number."""
    (mistake,) = EVEN.lint(TWO_SERVERS, {"model": "model-1", **load})
    assert "takes 1302 answers" in mistake
    assert mistake.startswith(f"{load.get('requests', 50)} requests cannot decide this")


def test_a_model_that_one_service_offers_is_not_applicable() -> None:
    """Nothing can be spread over one; that is the topology's matter and no mistake of the scenario."""
    facts = replace(TWO_SERVERS, services=TWO_SERVERS.services[:4])
    assert Distribution("even").lint(facts, {"model": "model-1", "requests": "auto"}) == []
    story = Story(facts=facts).request(1, A)
    verdict = Distribution("even").judge(story.evidence())
    assert verdict.status is Status.NOT_APPLICABLE
    assert verdict.message == f"only {A} serves these requests: there is nothing to spread"


@pytest.mark.parametrize("load", [{"requests": 1286}, {"requests": "auto"}, {"rate": 50.0}, {}])
def test_a_sufficient_or_open_number_is_no_mistake(load: dict[str, Any]) -> None:
    """Enough requests, `auto`, and loads without an end are fine."""
    assert EVEN.lint(TWO_SERVERS, {"model": "model-1", **load}) == []


def test_shares_that_make_no_sense_are_mistakes() -> None:
    """One service alone, weights without weighted, strict without its conditions."""
    lint = {"model": "model-1", "requests": "auto"}
    assert "nothing to spread" in Distribution("even", over=(A,)).lint(TWO_SERVERS, lint)[0]
    assert "belong together" in Distribution("even", weights={A: 1, C: 1}).lint(TWO_SERVERS, lint)[0]
    assert (
        "different services"
        in Distribution("weighted", over=(A,), weights={A: 1, C: 1}).lint(TWO_SERVERS, lint)[0]
    )
    assert "smaller 'detect'" in Distribution("even", over=(A, C), detect=0.6).lint(TWO_SERVERS, lint)[0]
    assert Distribution("even", over=(A, C), detect=0.5).lint(TWO_SERVERS, lint) == []
    strict = Distribution("random", over=(A, C), strict=True).lint(TWO_SERVERS, lint | {"concurrency": 8})
    assert "belongs to" in strict[0]
    assert "concurrency: 1" in strict[1]
    assert Distribution("even").lint(Facts(), lint) == []


def test_strict_turns() -> None:
    """Strict round robin takes turns; the first request out of turn is named; few turns are unknown."""
    check = Distribution("round-robin", over=(A, C), strict=True)
    assert check.sample(TWO_SERVERS, "model-1") == 40
    story = Story()
    for number in range(40):
        story.request(number, C if number % 2 else A)
    assert check.judge(story.evidence()).status is Status.PASS
    few = check.judge(story.evidence(until=20))
    assert few.status is Status.UNKNOWN
    assert (
        "telling it from chance with power 0.99 at a false-alarm rate of 1e-06 takes 40 answers"
        in few.message
    )
    verdict = check.judge(story.request(40, C).request(41, C).evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-c-server served mu-load-1-000041, the 42th request" in verdict.message
