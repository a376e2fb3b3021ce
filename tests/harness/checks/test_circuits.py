"""Whether all processes agree on a circuit."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.circuits import Circuits
from harness.events import Seen
from harness.evidence import Facts, ServiceFacts
from harness.verdict import Status, Verdict
from tests.harness.checks.story import Story

GATEWAYS = Facts(
    services=tuple(
        ServiceFacts(name=name, url=f"http://{name}:8000", speaks=("failover_gateway",))
        for name in ("gateway-a", "gateway-b")
    )
)


def shown(story: Story, t: float, gateway: str, **processes: str) -> None:
    """A gateway's processes showed openai's circuit: `p1="OPEN"`."""
    value = {name: {"openai": state} for name, state in processes.items()}
    story.add(t, Seen(source=gateway, view="circuits", ok=True, took=0.001, value=value))


def verdict(*looks: tuple[float, str, dict[str, str]], **options: Any) -> Verdict:
    story = Story(GATEWAYS)
    for t, gateway, processes in looks:
        shown(story, t, gateway, **processes)
    return Circuits({"openai": "OPEN"}, **options).judge(story.evidence(since=1.0))


def test_all_processes_of_all_gateways_agree() -> None:
    """What each process showed last counts, also if the last look met only one of them."""
    told = verdict(
        (1.1, "gateway-a", {"1": "CLOSED", "2": "OPEN"}),
        (1.2, "gateway-a", {"1": "OPEN"}),
        (1.2, "gateway-b", {"3": "OPEN", "4": "OPEN"}),
        workers=2,
    )

    assert told.status is Status.PASS
    assert told.message == "openai OPEN in all 4 processes of gateway-a and gateway-b"


def test_a_process_that_says_otherwise_is_named() -> None:
    """The message has gateway, process and state, and how many agree."""
    told = verdict((1.1, "gateway-a", {"1": "OPEN", "2": "CLOSED"}), (1.2, "gateway-b", {"3": "OPEN"}))

    assert told.status is Status.FAIL
    assert told.message.startswith(
        "gateway-a holds openai for CLOSED in process 2, wanted OPEN (1 of 2 say OPEN), 0.2 s after"
    )


def test_processes_that_do_not_answer_are_missed() -> None:
    """Fewer processes than stated are a failure; one that was met long ago does not count."""
    told = verdict(
        (1.1, "gateway-a", {"1": "OPEN", "2": "OPEN"}),
        (2.9, "gateway-a", {"1": "OPEN"}),
        at=("gateway-a",),
        workers=2,
    )

    assert told.status is Status.FAIL
    assert told.message.startswith("only 1 of 2 processes of gateway-a answered")


def test_a_gateway_that_does_not_answer_has_failed() -> None:
    """Its error is told."""
    story = Story(GATEWAYS)
    shown(story, 1.1, "gateway-a", p1="OPEN")
    story.silence(1.2, "refused", "gateway-a", "circuits")
    told = Circuits({"openai": "OPEN"}, at=("gateway-a",)).judge(story.evidence(since=1.0))

    assert told.status is Status.FAIL
    assert told.message.startswith("gateway-a does not show its circuits: refused")


@pytest.mark.parametrize("facts", [GATEWAYS, Facts()])
def test_a_gateway_that_nobody_looked_at_is_unknown(facts: Facts) -> None:
    """So is a deployment without any."""
    told = Circuits({"openai": "OPEN"}).judge(Story(facts).evidence(since=1.0, until=2.0))

    assert told.status is Status.UNKNOWN


def test_what_cannot_be_judged_is_seen_before_the_start() -> None:
    """No provider, and a service that is no gateway."""
    facts = Facts(services=(ServiceFacts(name="redis"),))

    assert Circuits({}).lint(facts, {}) == [
        "'circuits' names no provider: write '{circuits: {openai: OPEN}}'"
    ]
    assert Circuits({"openai": "OPEN"}, at=("redis",)).lint(facts, {}) == [
        "redis shows no circuits: it does not speak failover_gateway"
    ]
