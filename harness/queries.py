"""Queries to a registry of replicas: which capabilities meet them, and which are worth asking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product, zip_longest
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Facts

PATH = "/route"
NOBODY = "nobody-has-this"
MOST_CONDITIONS = 3
"""Of larger capability objects only the whole and its smaller parts are asked for."""

Capability = Mapping[str, Any]
Query = Mapping[str, str]
Sort = Literal["mixed", "registered", "unregistered"]

_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}


def is_query(done: RequestDone) -> bool:
    """Whether a request asked a registry for a replica."""
    return urlsplit(done.url).path.endswith(PATH)


def matches(capabilities: Iterable[Capability], query: Query) -> bool:
    """Whether one single capability object meets every condition."""
    return any(
        all(key in able and _meets(able[key], text) for key, text in query.items()) for able in capabilities
    )


def _meets(value: Any, text: str) -> bool:
    """Values are compared as people read them: `2` is 2 and "2", `true` is true and "true"."""
    if isinstance(value, (list, tuple)):
        return any(_meets(one, text) for one in value)
    if value is None or isinstance(value, bool):
        return text.lower() in _WORDS and _WORDS[text.lower()] is value
    if isinstance(value, (int, float)):
        try:
            return float(text) == value
        except ValueError:
            return False
    return bool(value == text)


def stated_capabilities(facts: Facts) -> dict[str, tuple[Capability, ...]]:
    """Replica id -> all that is stated of it; an id that several services share has what any of them has."""
    stated: dict[str, tuple[Capability, ...]] = {}
    for service in facts.services:
        for name, able in service.capabilities.items():
            stated[name] = (*stated.get(name, ()), *able)
    return stated


def queries(replicas: Iterable[Sequence[Capability]], sort: Sort) -> list[Query]:
    """What can be asked of replicas with these capabilities, each query once."""
    everybody = [list(able) for able in replicas]
    answered = _distinct(query for able in everybody for one in able for query in _parts(one))
    refused = [q for q in _distinct(_never(everybody, answered)) if not any(matches(a, q) for a in everybody)]
    if sort == "mixed":
        return [query for pair in zip_longest(answered, refused) for query in pair if query is not None]
    return answered if sort == "registered" else refused


def _parts(able: Capability) -> Iterator[Query]:
    """The subsets of one capability object that are small, and the whole."""
    pairs = [(key, text_of(value)) for key, value in able.items() if _can_be_asked(value)]
    for size in range(1, min(len(pairs), MOST_CONDITIONS) + 1):
        yield from map(dict, combinations(pairs, size))
    yield dict(pairs)


def _can_be_asked(value: Any) -> bool:
    return not isinstance(value, dict) and value not in ([], ())


def _never(everybody: Sequence[Sequence[Capability]], answered: Sequence[Query]) -> Iterator[Query]:
    """A value that nobody has, a key that nobody has, and conditions that only two objects meet together."""
    for query in answered:
        *rest, last = query
        yield {**{key: query[key] for key in rest}, last: NOBODY}
        yield {**query, NOBODY: "1"}
    for able in everybody:
        for one, other in combinations(able, 2):
            yield from ({**a, **b} for a, b in product(_parts(one), _parts(other)))


def text_of(value: Any) -> str:
    """A value as it stands in a URL; of a list, its first element."""
    if isinstance(value, (list, tuple)):
        return text_of(value[0])
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _distinct(found: Iterable[Query]) -> list[Query]:
    return list({frozenset(query.items()): query for query in found if query}.values())
