"""Queries to a registry of replicas, made from what replicas can do."""

import pytest

from harness.evidence import Facts, ServiceFacts
from harness.queries import matches, queries, stated_capabilities

SEED = [{"model": "qwen2", "type": "chat"}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"model": "qwen2"}, True),
        ({"type": "chat"}, True),
        ({"model": "qwen2", "type": "chat"}, True),
        ({"model": "qwen3"}, False),
        ({"model": "qwen2", "gpu": "1"}, False),
        ({}, True),
    ],
)
def test_a_query_is_a_subset_of_one_capability(query: dict[str, str], expected: bool) -> None:
    """The seed's table of what matches and what does not."""
    assert matches(SEED, query) is expected


def test_one_of_several_capabilities_is_enough() -> None:
    """A replica that can do two things is found by either."""
    assert matches([{"type": "chat"}, {"type": "embed"}], {"type": "embed"})


def test_conditions_are_not_combined_across_capabilities() -> None:
    """Two objects that meet one condition each do not meet both."""
    assert not matches(
        [{"model": "a", "type": "chat"}, {"model": "b", "type": "embed"}], {"model": "a", "type": "embed"}
    )


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (2, "2", True),
        ("2", "2", True),
        (2, "3", False),
        (True, "true", True),
        (True, "1", False),
        (None, "null", True),
        (1.5, "1.5", True),
        ("1.10", "1.1", False),
        (["a", "b"], "b", True),
        ({"deep": 1}, "1", False),
    ],
)
def test_values_match_as_people_write_them(value: object, text: str, expected: bool) -> None:
    """Numbers, truths and lists match their texts; text is compared as text."""
    assert matches([{"key": value}], {"key": text}) is expected


def test_every_part_of_a_capability_is_asked_for() -> None:
    """Of a capability with two values: each alone, and both."""
    assert queries([SEED], "registered") == [
        {"model": "qwen2"},
        {"type": "chat"},
        {"model": "qwen2", "type": "chat"},
    ]


def test_what_nobody_can_do_is_met_by_nobody() -> None:
    """Other values, further keys and mixtures of two capabilities: no replica meets any of them."""
    everybody = [
        [{"model": "a", "type": "chat"}, {"model": "b", "type": "embed"}],
        [{"model": "a", "type": "embed"}],
    ]
    refused = queries(everybody, "unregistered")
    assert {"model": "b", "type": "chat"} in refused
    assert {"model": "a", "type": "embed"} not in refused
    assert [q for q in refused if any(matches(able, q) for able in everybody)] == []


def test_mixed_is_both() -> None:
    """All of either sort, in turn."""
    mixed = queries([SEED], "mixed")
    assert mixed[0] in queries([SEED], "registered")
    assert mixed[1] in queries([SEED], "unregistered")
    assert len(mixed) == len(queries([SEED], "registered")) + len(queries([SEED], "unregistered"))


def test_an_id_that_two_services_share_has_what_either_has() -> None:
    """A replica that is started a second time elsewhere, under the same id."""
    one = ServiceFacts(name="old", capabilities={"a": ({"type": "chat"},)})
    two = ServiceFacts(name="new", capabilities={"a": ({"type": "embed"},)})
    assert stated_capabilities(Facts(services=(one, two))) == {"a": ({"type": "chat"}, {"type": "embed"})}
