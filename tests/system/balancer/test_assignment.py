"""Which node gets which model, and why not another."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.balancer.assignment import STRATEGIES, strategy_of
from system.balancer.assignment.deciding import Assigned, Candidate
from system.balancer.models import DEFAULTS, Model

SMALL, MEDIUM, LARGE = (model.name for model in DEFAULTS)


def node(name: str, score: float, **fields: Any) -> Candidate:
    return Candidate(id=name, score=score, ram_gb=fields.pop("ram_gb", 64), **fields)


def names(assigned: dict[str, Assigned]) -> dict[str, str | None]:
    return {name: one.model.name if one.model else None for name, one in assigned.items()}


def by(strategy: str, *nodes: Candidate, models: tuple[Model, ...] = DEFAULTS) -> dict[str, Assigned]:
    return dict(strategy_of(strategy)(nodes, models))


def test_points_decide_about_the_tier() -> None:
    """80 and more, 60 to 80, below 60."""
    found = by("tiers", node("a", 85), node("b", 80), node("c", 79.9), node("d", 60), node("e", 59.9))
    assert names(found) == {"a": LARGE, "b": LARGE, "c": MEDIUM, "d": MEDIUM, "e": SMALL}


def test_a_tier_without_a_model_takes_the_next_smaller() -> None:
    """The seed's example: 85 points get a 3B where there is no larger one."""
    assert names(by("tiers", node("a", 85), models=DEFAULTS[:2])) == {"a": MEDIUM}


def test_memory_bounds_what_points_would_allow() -> None:
    """Each model that does not fit is named, with what it takes and what is there."""
    found = by("tiers", node("a", 90, ram_gb=4), node("b", 90, ram_gb=1))
    assert names(found) == {"a": MEDIUM, "b": None}
    assert "llama3.1:8b: takes about 5.9 GB of memory, and 1 GB are there" in found["b"].reason


def test_a_model_is_not_assigned_where_it_cannot_be_installed() -> None:
    """A server with fixed models gets one of these; with none that fits it gets none, and is told why."""
    fixed = node("a", 90, can_install=False, installed=frozenset({SMALL}))
    empty = replace(fixed, id="b", installed=frozenset())
    found = by("tiers", fixed, empty)
    assert names(found) == {"a": SMALL, "b": None}
    assert "cannot fetch it" in found["b"].reason


def test_a_node_gets_something_rather_than_nothing() -> None:
    """A weak machine in a lab that has but a large model."""
    assert names(by("tiers", node("a", 20), models=DEFAULTS[2:])) == {"a": LARGE}


def test_what_failed_is_not_tried_again() -> None:
    """A pull that failed takes the model out, with the engine's words."""
    found = by("tiers", node("a", 90, failed={LARGE: "pull: no space left on device"}))
    assert names(found) == {"a": MEDIUM}
    assert [one.reason for one in found["a"].rejected] == ["pull: no space left on device"]


def test_by_rank_two_nodes_get_the_two_most_able_models() -> None:
    """The contract's check: 84 and 41 points, the seed's models."""
    assert names(by("rank", node("b", 41), node("a", 84))) == {"a": LARGE, "b": MEDIUM}


def test_by_rank_more_nodes_than_models_form_groups() -> None:
    """Five nodes, three models: groups of 2, 2, 1; the rest in turns from the smallest."""
    found = by("rank", *(node(name, 90 - place) for place, name in enumerate("abcde")))
    assert names(found) == {"a": LARGE, "b": SMALL, "c": MEDIUM, "d": MEDIUM, "e": SMALL}


def test_an_own_strategy_is_a_function_anywhere() -> None:
    """Named as module:function; what cannot be found is said."""
    assert strategy_of("system.balancer.assignment.tiers:assign") is strategy_of("tiers")
    with pytest.raises(LookupError, match="there is no assignment 'best': there are tiers, rank"):
        strategy_of("best")
    with pytest.raises(LookupError, match="cannot be imported"):
        strategy_of("nowhere:assign")


CANDIDATES = st.builds(
    Candidate,
    id=st.text("abcdef", min_size=1, max_size=4),
    score=st.floats(0, 100),
    ram_gb=st.floats(0.1, 128),
    can_install=st.booleans(),
    installed=st.none() | st.frozensets(st.sampled_from([SMALL, MEDIUM, LARGE])),
)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(nodes=st.lists(CANDIDATES, unique_by=lambda one: one.id, max_size=12))
def test_everybody_gets_what_fits_or_a_reason(strategy: str, nodes: list[Candidate]) -> None:
    """Whatever the nodes: each is decided about, nobody gets what it cannot carry, and a second look changes nothing."""
    found = by(strategy, *nodes)
    assert found.keys() == {one.id for one in nodes}
    for one in nodes:
        model = found[one.id].model
        assert (model is None) == bool(found[one.id].reason)
        if model is not None:
            assert model.size_gb * 1.2 <= max(one.ram_gb, one.gpu_memory_gb)
    again = [replace(one, current=getattr(found[one.id].model, "name", None)) for one in nodes]
    assert names(by(strategy, *again)) == names(found)


@given(nodes=st.lists(CANDIDATES, unique_by=lambda one: one.id, min_size=1, max_size=12))
def test_by_tiers_a_newcomer_moves_nobody(nodes: list[Candidate]) -> None:
    """Each node is looked at by itself."""
    before, after = names(by("tiers", *nodes[:-1])), names(by("tiers", *nodes))
    assert before == {name: model for name, model in after.items() if name != nodes[-1].id}
