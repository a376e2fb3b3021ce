"""What a query matches, in words and against a scan of everything."""

from collections import Counter
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from system.registry import matching
from system.registry.choices import CHOICES
from system.registry.matching import Index, atoms_of, matches, parse
from system.registry.member import Member


def index_of(**capabilities: list[dict[str, Any]]) -> Index:
    index = Index()
    for entry_id, offered in capabilities.items():
        index.put(Member(entry_id, 1.0, b""), [atoms_of(one) for one in offered])
    return index


def found(index: Index, query: str) -> set[str]:
    return {member.id for member in index.pool(query.encode()).members()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("model=qwen2", True),
        ("type=chat", True),
        ("model=qwen2&type=chat", True),
        ("model=qwen3", False),
        ("model=qwen2&gpu=1", False),
        ("model=llama&type=chat", False),
        ("", True),
        ("model=", False),
        ("model=qwen3&model=qwen2", True),
    ],
)
def test_matches_as_the_seed_says(query: str, expected: bool) -> None:
    """A query is a subset of one capability; conditions are never combined over two; the last value counts."""
    index = index_of(r=[{"model": "qwen2", "type": "chat"}, {"model": "llama"}])
    assert found(index, query) == ({"r"} if expected else set())


@pytest.mark.parametrize(
    ("value", "spellings", "others"),
    [
        (2, ["2", "2.0", "+2", "2e0"], ["3", "two", "2.5", "02x"]),
        ("2", ["2"], ["2.0", "02"]),
        (2.5, ["2.5", "25e-1"], ["2"]),
        (True, ["true", "True", "TRUE"], ["1", "yes"]),
        (1, ["1"], ["true"]),
        (False, ["false"], ["0", ""]),
        ("true", ["true"], ["True"]),
        (None, ["null", "None"], [""]),
        ("1.10", ["1.10"], ["1.1"]),
        (["a", 2], ["a", "2"], ["a,2"]),
        ({"a": 1}, [], ["a", '{"a":1}']),
        (12345678901234567890, ["12345678901234567890"], ["12345678901234567891"]),
    ],
)
def test_values_match_as_a_person_would_expect(value: Any, spellings: list[str], others: list[str]) -> None:
    """Numbers, words and lists match their spellings in a URL, and nothing else."""
    index = index_of(r=[{"key": value}])
    for text in spellings:
        assert found(index, urlencode({"key": text})) == {"r"}, text
    for text in others:
        assert found(index, urlencode({"key": text})) == set(), text


def test_a_replica_that_can_do_nothing_never_matches() -> None:
    """No capability, no match, not even for the empty query."""
    assert found(index_of(r=[]), "") == set()
    assert found(index_of(r=[{}]), "") == {"r"}


VALUES = st.sampled_from(["a", "2", "true", 2, 2.0, 3, True, None, ["a", 2]])
CAPABILITIES = st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3), max_size=3)
QUERIES = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["a", "2", "true", "null"]), max_size=3)
PUTS = st.tuples(st.just("put"), st.sampled_from("pqr"), CAPABILITIES)
DROPS = st.tuples(st.just("drop"), st.sampled_from("pqr"), st.none())
ASKS = st.tuples(st.just("ask"), st.none(), QUERIES)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PUTS, DROPS, ASKS), max_size=40), st.sampled_from([1, 2, 1_024]))
def test_the_index_finds_what_a_scan_finds(steps: list[tuple[str, Any, Any]], remembered: int) -> None:
    """Whatever comes, goes and is asked in between, remembered or not: the index agrees with a plain scan."""
    kept = matching.QUERIES
    matching.QUERIES = remembered
    try:
        _compare(steps)
    finally:
        matching.QUERIES = kept


def _compare(steps: list[tuple[str, Any, Any]]) -> None:
    index, plain = Index(), dict[str, list[dict[str, Any]]]()
    asked = [""]
    for what, entry_id, detail in steps:
        if what == "put":
            plain[entry_id] = detail
            index.put(Member(entry_id, 1.0, b""), [atoms_of(one) for one in detail])
        elif what == "drop":
            plain.pop(entry_id, None)
            index.drop(entry_id)
        else:
            asked.append(urlencode(detail))
        for query in asked[-3:]:
            wanted = parse(query.encode())
            scan = {name for name, offers in plain.items() if matches(map(atoms_of, offers), wanted)}
            assert found(index, query) == scan


def test_remembers_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless different questions take no endless memory."""
    monkeypatch.setattr(matching, "QUERIES", 10)
    index = index_of(**{f"r{number}": [{"n": number}] for number in range(50)})
    for number in range(5_000):
        index.pool(f"n={number}".encode())
    assert len(index._pools) <= 10
    assert len(index._spelled) <= 40
    assert sum(map(len, index._pools_by_atom.values())) <= 20


def chosen(policy: str, weights: dict[str, float], times: int) -> list[str]:
    index = Index()
    for entry_id, weight in weights.items():
        index.put(Member(entry_id, weight, b""), [atoms_of({"x": 1})])
    pool, random = index.pool(b"x=1"), Random(7).random
    picked = [pool.pick(policy, random) for _ in range(times)]
    return [member.id for member in picked if member is not None]


@pytest.mark.parametrize("policy", CHOICES)
def test_every_policy_chooses_only_members_and_all_of_them(policy: str) -> None:
    """Whoever comes is chosen sooner or later, whoever has left is never chosen."""
    index, random = index_of(a=[{"x": 1}], b=[{"x": 1}], c=[{"x": 1}]), Random(7).random
    pool = index.pool(b"x=1")
    assert {pool.pick(policy, random).id for _ in range(100)} == {"a", "b", "c"}  # type: ignore[union-attr]
    index.drop("a")
    index.put(Member("d", 1.0, b""), [atoms_of({"x": 1})])
    assert {pool.pick(policy, random).id for _ in range(100)} == {"b", "c", "d"}  # type: ignore[union-attr]
    for entry_id in "bcd":
        index.drop(entry_id)
    assert pool.pick(policy, random) is None


def test_random_is_even() -> None:
    """Each of three is chosen about as often as the others."""
    counts = Counter(chosen("random", {"a": 9, "b": 1, "c": 1}, 3_000))
    assert all(900 < counts[entry_id] < 1_100 for entry_id in "abc")


def test_round_robin_takes_turns() -> None:
    """One after the other, and around."""
    assert chosen("round-robin", {"a": 1, "b": 1, "c": 1}, 7) == list("abcabca")


def test_weighted_follows_the_weights() -> None:
    """Three times the weight, three times as often; no weight, never; all without, evenly."""
    counts = Counter(chosen("weighted", {"a": 3, "b": 1, "c": 0}, 4_000))
    assert 2_850 < counts["a"] < 3_150
    assert counts["c"] == 0
    assert set(chosen("weighted", {"a": 0, "b": 0}, 50)) == {"a", "b"}


def test_least_recent_counts_uses_through_other_queries() -> None:
    """Somebody who was just chosen by another query is not next."""
    index = index_of(a=[{"x": 1, "y": 1}], b=[{"x": 1}], c=[{"x": 1}])
    random = Random(7).random
    assert index.pool(b"y=1").pick("least-recent", random).id == "a"  # type: ignore[union-attr]
    picked = [index.pool(b"x=1").pick("least-recent", random) for _ in range(3)]
    assert [member.id for member in picked if member] == ["b", "c", "a"]
