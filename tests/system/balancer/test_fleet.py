"""Who is in the table, and who takes whose place."""

import pytest

from system.balancer.models import Model
from system.balancer.scoring import ImpossibleSpecs, Specs
from tests.system.balancer.fleets import STRONG, WEAK, card, fleet_of, joined


def test_points_are_computed_from_specs() -> None:
    """What a node claims about its own score is not even part of its card."""
    fleet = fleet_of(card("a", STRONG), card("b", WEAK))
    assert {node.id: (node.score, node.model) for node in fleet.nodes} == {
        "a": (100.0, "llama3.1:8b"),
        "b": (41.0, "llama3.2:1b"),
    }
    assert fleet.active_models == 2
    with pytest.raises(ImpossibleSpecs, match="cpu_cores is 0"):
        joined(fleet, card("c", Specs(cpu_cores=0, cpu_frequency_ghz=1, ram_gb=1)))
    assert len(fleet) == 2


@pytest.mark.parametrize(
    "second",
    [card("a"), card("other", key="machine-a", address="elsewhere:1"), card("other", address="a:50052")],
    ids=["same id", "same key", "same address"],
)
def test_a_node_that_restarted_takes_the_place_of_its_former_self(second: object) -> None:
    """There is one entry, where the former one was, and the former one can no longer end it."""
    fleet = fleet_of(card("a", key="machine-a"), card("b"))
    former = fleet.nodes[0]
    node = joined(fleet, second)  # type: ignore[arg-type]
    assert [one.id for one in fleet.nodes] == [node.id, "b"]
    assert former not in fleet
    assert not fleet.leave(former)
    assert node in fleet
    assert fleet.leave(node)
    assert [one.id for one in fleet.nodes] == ["b"]


def test_who_stops_reporting_is_silent() -> None:
    """Of those that report; the original's nodes never do, and are probed."""
    fleet = fleet_of(card("a"), card("b"))
    joined(fleet, card("seed"), "probed")
    fleet.nodes[1].seen_at = 7.0
    assert [node.id for node in fleet.silent(10.0, 4.0)] == ["a"]


def test_what_nodes_report_can_be_assigned() -> None:
    """With the sizes that their engines report, beside the catalogue."""
    fleet = fleet_of(
        card("a", STRONG, installed=(Model(name="qwen3:14b", parameters=14_000_000_000, size_gb=9.3),)),
        models=(
            Model(name="qwen3:14b", parameters=1, size_gb=1),
            Model(name="tiny:1b", parameters=10**9, size_gb=1),
        ),
    )
    assert [(model.name, model.size_gb) for model in fleet.models] == [("tiny:1b", 1), ("qwen3:14b", 9.3)]
    assert fleet.nodes[0].model == "qwen3:14b"


def test_only_who_got_another_model_is_named() -> None:
    """A newcomer moves nobody; a failure moves the node that failed."""
    fleet = fleet_of(card("a", STRONG))
    fleet.join(card("b"), "stream", wall=0, now=0)
    assert [node.id for node in fleet.assign()] == ["b"]
    fleet.nodes[0].failed["llama3.1:8b"] = "no space"
    assert [(node.id, node.model) for node in fleet.assign()] == [("a", "llama3.2:3b")]
