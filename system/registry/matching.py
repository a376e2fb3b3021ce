"""Which entries can do what is asked: an inverted index over capabilities, with remembered queries.

Decides only. A query is a set of conditions; it matches an entry when one single capability object meets all
of them. Values match as a person would expect: `gpus=2` meets 2 and "2", `stream=true` meets true and "true",
and a list is met by any of its elements. A query that was asked before costs one lookup, however many entries
there are: what it matches is kept in a pool that registrations and removals bring up to date.
"""

import itertools
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from system.registry.member import Member
from system.registry.pool import Pool

Atom = tuple[str, Any]
"""A key with one value in the form in which values are compared."""
Condition = frozenset[Atom]
"""The atoms any of which satisfies one `key=value` of a query."""
Query = frozenset[Condition]
Capability = frozenset[Atom]

QUERIES = 1_024  # remembered at most; the one unused for longest is forgotten first
MATCHES = 500_000  # ids in all remembered pools together
LONG_QUERY = 1_024  # bytes; a longer one is answered but not remembered
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}


def atoms_of(capability: Mapping[str, Any]) -> Capability:
    """What a capability object offers, ready to be compared."""
    return frozenset((key, form) for key, value in capability.items() for form in _forms(value))


def _forms(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [form for element in value for form in _forms(element) if not isinstance(element, list)]
    return [] if isinstance(value, dict) else [_form(value)]


def _form(value: Any) -> Any:
    # Python takes 1, 1.0 and True for the same key; text, numbers and words are told apart first.
    if isinstance(value, str):
        return value
    return ("word", value) if value is None or isinstance(value, bool) else ("number", value)


def parse(query_string: bytes) -> Query:
    """The conditions of a query string; of a repeated key the last value counts."""
    pairs = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    return query_of(pairs)


def query_of(pairs: Mapping[str, str]) -> Query:
    """The conditions of keys and values as they stand in a URL."""
    return frozenset(frozenset((key, form) for form in _meanings(text)) for key, text in pairs.items())


def _meanings(text: str) -> list[Any]:
    meanings: list[Any] = [text]
    if text.lower() in _WORDS:
        meanings.append(("word", _WORDS[text.lower()]))
    if _NUMBER.fullmatch(text):
        meanings.append(("number", float(text) if re.search("[.eE]", text) else int(text)))
    return meanings


def matches(capabilities: Iterable[Capability], query: Query) -> bool:
    """Whether one single capability meets every condition."""
    return any(all(not condition.isdisjoint(offered) for condition in query) for offered in capabilities)


class Index:
    """The entries that may be routed to, by what they can do."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._offers: dict[str, Sequence[Capability]] = {}
        self._by_atom: dict[Atom, dict[str, None]] = {}
        self._pools: OrderedDict[Query, Pool] = OrderedDict()
        self._pools_by_atom: dict[Atom, dict[Query, None]] = {}
        self._spelled: dict[bytes, Query] = {}
        self._matches = 0
        self._picks = itertools.count(1)

    def put(self, member: Member, offers: Sequence[Capability]) -> None:
        """Add an entry, or bring it up to date."""
        if (known := self._members.get(member.id)) is not None:
            if known == member and self._offers[member.id] == offers:
                return
            member.used = known.used
            self.drop(member.id)
        self._members[member.id], self._offers[member.id] = member, offers
        for atom in {atom for offered in offers for atom in offered}:
            self._by_atom.setdefault(atom, {})[member.id] = None
        for query in self._asked_about(offers):
            if matches(offers, query):
                self._pools[query].add(member)
                self._matches += 1

    def drop(self, entry_id: str) -> None:
        """Take an entry out; one that is not in is no mistake."""
        if self._members.pop(entry_id, None) is None:
            return
        offers = self._offers.pop(entry_id)
        for query in self._asked_about(offers):
            self._matches -= self._pools[query].discard(entry_id)
        for atom in {atom for offered in offers for atom in offered}:
            holders = self._by_atom[atom]
            del holders[entry_id]
            if not holders:
                del self._by_atom[atom]

    def count(self, atom: Atom) -> int:
        """How many entries have this atom in one of their capabilities."""
        return len(self._by_atom.get(atom, ()))

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._members

    def pool(self, query_string: bytes) -> Pool:
        """The entries that match a query string; ValueError where it has too many conditions."""
        query = self._spelled.get(query_string)
        if query is None:
            query = parse(query_string)
            if len(query_string) > LONG_QUERY:
                return self._gather(query)
            if len(self._spelled) >= 4 * QUERIES:
                self._spelled.clear()
            self._spelled[query_string] = query
        pool = self._pools.get(query)
        if pool is None:
            return self._remember(query)
        self._pools.move_to_end(query)
        return pool

    def _gather(self, query: Query) -> Pool:
        return Pool((self._members[entry_id] for entry_id in self._find(query)), self._picks)

    def _remember(self, query: Query) -> Pool:
        pool = self._pools[query] = self._gather(query)
        for atom in _handle(query):
            self._pools_by_atom.setdefault(atom, {})[query] = None
        self._matches += len(pool)
        while len(self._pools) > QUERIES or (self._matches > MATCHES and len(self._pools) > 1):
            self._forget(next(iter(self._pools)))
        return pool

    def _forget(self, query: Query) -> None:
        self._matches -= len(self._pools.pop(query))
        for atom in _handle(query):
            asked = self._pools_by_atom[atom]
            del asked[query]
            if not asked:
                del self._pools_by_atom[atom]

    def _find(self, query: Query) -> list[str]:
        """Every match, looking only at the holders of the rarest condition."""
        if not query:
            return [entry_id for entry_id, offers in self._offers.items() if offers]
        found = min((self._holders(condition) for condition in query), key=len)
        return [entry_id for entry_id in found if matches(self._offers[entry_id], query)]

    def _holders(self, condition: Condition) -> dict[str, None]:
        held = [self._by_atom[atom] for atom in condition if atom in self._by_atom]
        return held[0] if len(held) == 1 else {entry_id: None for holders in held for entry_id in holders}

    def _asked_about(self, offers: Sequence[Capability]) -> list[Query]:
        """The remembered queries that these capabilities could meet."""
        if not offers:
            return []
        found: dict[Query, None] = dict(self._pools_by_atom.get(_ANYTHING, {}))
        for atom in {atom for offered in offers for atom in offered}:
            found.update(self._pools_by_atom.get(atom, {}))
        return list(found)


_ANYTHING: Atom = ("", ("anything",))


def _handle(query: Query) -> Iterable[Atom]:
    """The atoms under which a remembered query is found again: those of one of its conditions."""
    return min(query, key=lambda condition: sorted(map(repr, condition))) if query else [_ANYTHING]
