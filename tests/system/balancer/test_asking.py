"""Who is asked, when it is enough, and what becomes of those who are late."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from system.balancer.aggregation import aggregation_of
from system.balancer.asking import (
    NodeAnswer,
    NodeFailed,
    Plan,
    PlanError,
    Progress,
    Question,
    ask_all,
    plan_of,
)
from system.balancer.balancer import Asked, Balancer
from system.balancer.fleet import Node
from system.balancer.models import Model
from tests.system.balancer.fleets import STRONG, WEAK, card, fleet_of

QUESTION = Question(id="q", prompt="capital of France?")


class Nodes:
    """Nodes that answer when they are told to, or not at all."""

    def __init__(self, **texts: str | None) -> None:
        self._texts = texts
        self.asked: list[str] = []
        self.cancelled: list[str] = []

    async def __call__(
        self, node: Node, question: Question, listener: Callable[[Progress], None]
    ) -> tuple[str, str]:
        self.asked.append(node.id)
        text = self._texts[node.id]
        if text is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(node.id)
                raise
        if text == "!":
            msg = "out of memory"
            raise NodeFailed(msg)
        listener(Progress(node=node.id, status="COMPLETED", percentage=100, step="done"))
        return str(text), node.model


def outcomes(ended: list[NodeAnswer]) -> dict[str, str]:
    return {one.node: one.outcome for one in ended}


def ask(plan: Plan, nodes: Nodes, deadline: float = 5.0) -> tuple[dict[str, str], list[Any]]:
    heard: list[Any] = []
    fleet = fleet_of(card("a", STRONG), card("b"), card("c"))

    async def test() -> list[NodeAnswer]:
        return await ask_all(fleet.nodes, QUESTION, plan, nodes, deadline, heard.append)

    ended = asyncio.run(test())
    assert all(node.in_progress == 0 for node in fleet.nodes)
    return outcomes(ended), heard


def test_all_are_asked_and_a_failure_harms_nobody_else() -> None:
    """With the reason of the one that failed."""
    found, heard = ask(plan_of("all"), Nodes(a="Paris", b="!", c="paris."))
    assert found == {"a": "answered", "b": "failed", "c": "answered"}
    assert [one.reason for one in heard if isinstance(one, NodeAnswer) and one.outcome == "failed"] == [
        "out of memory"
    ]


def test_first_is_satisfied_with_one_and_cancels_the_others() -> None:
    """A failure is not an answer: others are waited for."""
    nodes = Nodes(a="!", b="Paris", c=None)
    found, _ = ask(plan_of("first"), nodes)
    assert found == {"a": "failed", "b": "answered", "c": "not needed"}
    assert nodes.cancelled == ["c"]


def test_a_quorum_waits_for_as_many_as_it_names() -> None:
    """Two of three; and all of them where it names more."""
    assert ask(plan_of("quorum", 2), Nodes(a="x", b="x", c=None))[0] == {
        "a": "answered", "b": "answered", "c": "not needed",
    }  # fmt: skip
    assert set(ask(plan_of("quorum", 9), Nodes(a="x", b="x", c="x"))[0].values()) == {"answered"}


def test_best_asks_the_strongest_only() -> None:
    """The others are not even disturbed."""
    nodes = Nodes(a="Paris", b=None, c=None)
    assert ask(plan_of("best", 1), nodes)[0] == {"a": "answered"}
    assert nodes.asked == ["a"]


def test_who_is_late_is_cancelled_and_named() -> None:
    """What there is at the deadline is given, as partial."""
    nodes = Nodes(a="Paris", b=None, c=None)
    found, heard = ask(plan_of("all"), nodes, deadline=0.05)
    assert found == {"a": "answered", "b": "late", "c": "late"}
    assert sorted(nodes.cancelled) == ["b", "c"]
    assert {one.node for one in heard if isinstance(one, NodeAnswer) and one.outcome == "late"} == {"b", "c"}


@pytest.mark.parametrize(
    ("name", "count", "says"),
    [("most", 0, "there is no plan 'most'"), ("quorum", 0, "needs a count of 1 or more, not 0")],
)
def test_a_plan_that_cannot_be(name: str, count: int, says: str) -> None:
    """Said before anybody is asked."""
    with pytest.raises(PlanError, match=says):
        plan_of(name, count)


def result_of(
    nodes: Nodes, *, aggregation: str = "synthesize", images: tuple[str, ...] = (), **cards: Any
) -> Any:
    fleet = fleet_of(*(card(name, **fields) for name, fields in cards.items()))
    asked = Asked(
        question=Question(id="q", prompt="?", images=images),
        plan=Plan(),
        aggregation=aggregation_of(aggregation),
        deadline=5.0,
    )
    return asyncio.run(Balancer(fleet, nodes).ask(asked))


def test_without_nodes_there_is_no_answer() -> None:
    """In the original's words, and marked as a problem."""
    result = result_of(Nodes())
    assert result.problem == result.text == "❌ No clients connected. Please connect clients first."


def test_images_go_only_to_nodes_whose_model_sees() -> None:
    """And where there is none, that is the answer."""
    eyes = (Model(name="llava:7b", parameters=7_000_000_000, size_gb=4.7, vision=True),)
    nodes = Nodes(a="a cat", b="?")
    sees = {"specs": STRONG, "installed": eyes, "can_install": False}
    result = result_of(nodes, images=("aGk=",), a=sees, b={"specs": WEAK})
    assert nodes.asked == ["a"]
    assert result.text == "a cat"
    assert "No vision-capable clients" in result_of(Nodes(b="?"), images=("aGk=",), b={"specs": WEAK}).problem


def test_nobody_answered_names_everybody_and_why() -> None:
    """Not a bare sentence."""
    result = result_of(Nodes(a="!", b="!"), a={}, b={})
    assert result.problem.startswith("❌ No successful responses from clients.")
    assert "a (llama3.2:1b): out of memory" in result.problem


def test_the_strongest_node_that_answered_makes_the_summary() -> None:
    """It is asked a second time, about all answers."""
    nodes = Nodes(a="Paris", b="Lyon")
    result = result_of(nodes, a={"specs": STRONG}, b={})
    assert sorted(nodes.asked) == ["a", "a", "b"]
    assert result.method == "llama3.1:8b"
    assert "Summary Method: llama3.1:8b" in result.layout
