"""Check `routing`: a registry names replicas that can do what is asked, and one whenever there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, cast, get_args
from urllib.parse import urlencode

from harness.checks.lost_replicas import Lost, lost_replicas
from harness.checks.replica_table import PROTOCOL, VIEW, Table, replica_table
from harness.checks.requests import NOTHING_SENT, is_ok, told_all
from harness.checks.sight import source_of, unclear
from harness.checks.words import clock_time, count, listed, sentences
from harness.options import ServiceName
from harness.queries import Capability, Sort, is_query, matches, queries, stated_capabilities
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts
    from harness.history import Record

ROUNDS = 3
"""How often `requests: auto` asks each query."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Every query was answered with a replica that can do it and was registered then; 404 only without one.

    ```yaml
    load: {route: mixed, at: registry, requests: auto}
    expect: {routing: registry, within: 2s}
    ```

    What a replica can do is what the topology states; who was registered when, and at which endpoint, is what
    the registry showed before and after the request. Where it showed different things, or somebody was
    started, stopped or disturbed meanwhile, either answer is right. A replica that vanished although it
    lives, and nothing was done to it, should still have been named. Queries that were not answered are not
    judged: `availability` does that.
    """

    _: KW_ONLY
    at: ServiceName = ""
    """The registry that was asked; empty: the only service that speaks `capability_registry`."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The registry's replicas."""
        source = source_of(facts, self.at, PROTOCOL)
        return [(source, VIEW)] if source else []

    def sample(self, facts: Facts, model: str) -> int:
        """Every query that the stated capabilities give rise to, a few times."""
        del model
        return max(1, ROUNDS * len(queries(stated_capabilities(facts).values(), "mixed")))

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Too few requests to ask everything that is to be asked."""
        sort, requests = load.get("query"), load.get("requests")
        if sort not in get_args(Sort) or not isinstance(requests, int):
            return []
        needed = len(queries(stated_capabilities(facts).values(), cast("Sort", sort)))
        if requests >= needed:
            return []
        few = f"{count(requests, 'request')} do not ask each of the {needed} queries once"
        return [f"{few}; write 'requests: auto'"]

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when no answer was wrong."""
        source = source_of(evidence.facts, self.at, PROTOCOL)
        if not source:
            return unknown(unclear(evidence.facts, PROTOCOL))
        there = evidence.facts.service(source)
        base = there.url if there else ""
        asked = [(r, done) for r, done in evidence.requests() if is_query(done) and done.url.startswith(base)]
        answered = [(record, done) for record, done in asked if is_ok(done)]
        if not asked:
            return unknown(NOTHING_SENT)
        if not answered:
            return unknown(f"no query was answered: {told_all(done for _, done in asked)}")
        table = replica_table(evidence, source)
        oracle = Oracle(table, stated_capabilities(evidence.facts), lost_replicas(evidence, source, table))
        return _verdict(source, [(record, done, oracle.says(done)) for record, done in answered])


RIGHT, OPEN, EARLY = "", "either answer is right", "too early to say"


@dataclass(frozen=True, slots=True)
class Oracle:
    """What the answer to a query should have been."""

    table: Table
    stated: Mapping[str, tuple[Capability, ...]]
    lost: Lost

    def says(self, done: RequestDone) -> str:
        """RIGHT, OPEN, EARLY, or what is wrong, in words that are the same for all with that fault."""
        if done.served_by and done.served_by in self.stated and not self._able(done.served_by, done, {}):
            return f"{done.served_by} was named for {_asked(done)}, which it cannot do"
        around = self.table.around(done.started, done.ended)
        if around is None:
            return OPEN
        if not done.served_by and (lost := self._lost(done)):
            return lost
        wrong = self._named(done, around.shown) if done.served_by else self._refused(done, around.shown)
        if around.disturbed:
            return OPEN
        return EARLY if wrong and not around.complete else wrong

    def _named(self, done: RequestDone, shown: Sequence[Mapping[str, Mapping[str, object]]]) -> str:
        name = done.served_by
        entries = [table[name] for table in shown if name in table]
        if not entries:
            return f"{name} was named for {_asked(done)}, but was not registered then"
        if not any(entry["routable"] for entry in entries):
            return f"{name} was named for {_asked(done)}, but nobody was to be sent there then"
        if not any(self._able(name, done, entry) for entry in entries):
            return f"{name} was named for {_asked(done)}, which it cannot do"
        places = {str(entry["endpoint"]) for entry in entries}
        if done.content not in places:
            return f"{name} was said to be at {done.content}, but is at {listed(sorted(places))}"
        return RIGHT

    def _refused(self, done: RequestDone, shown: Sequence[Mapping[str, Mapping[str, object]]]) -> str:
        fit = [
            {name for name, entry in table.items() if entry["routable"] and self._able(name, done, entry)}
            for table in shown
        ]
        if all_along := set.intersection(*fit):
            return f"nobody was named for {_asked(done)}, although {listed(sorted(all_along))} can do it"
        return RIGHT

    def _lost(self, done: RequestDone) -> str:
        """Nobody was named, as somebody who lives had been forgotten before."""
        able = [name for name in self.stated if self._able(name, done, {})]
        since = {name: t for name in able if (t := self.lost.since(name, done.started)) is not None}
        if not since:
            return RIGHT
        last = listed(f"{name} (last listed at {clock_time(t)})" for name, t in since.items())
        why = "it lives, and nothing was done to it"
        return f"nobody was named for {_asked(done)}, although {last} can do it: {why}"

    def _able(self, name: str, done: RequestDone, entry: Mapping[str, object]) -> bool:
        shown = entry.get("capabilities", ())
        able = self.stated.get(name, shown if isinstance(shown, (list, tuple)) else ())
        return matches(able, done.query)


def _asked(done: RequestDone) -> str:
    return urlencode(done.query) or "anything"


def _verdict(source: str, judged: Sequence[tuple[Record, RequestDone, str]]) -> Verdict:
    said = Counter(words for _, _, words in judged)
    right = [done for _, done, words in judged if words == RIGHT]
    named = Counter(done.served_by for done in right if done.served_by)
    numbers = {
        "judged": len(judged) - said[OPEN] - said[EARLY],
        "open": said[OPEN],
        "named": dict(sorted(named.items())),
        "refused": len(right) - named.total(),
        "queries": len({frozenset(done.query.items()) for done in right}),
    }
    wrong = [words for words in said if words not in (RIGHT, OPEN, EARLY)]
    if wrong:
        findings = [_told(words, [(r, d) for r, d, w in judged if w == words]) for words in wrong]
        records = [record.n for record, _, words in judged if words in wrong]
        return failed(sentences(findings), settled=True, evidence=records[:10], routing=numbers)
    if said[EARLY]:
        late = f"{source} has not been looked at again since {count(said[EARLY], 'answer')}"
        return unknown(late, routing=numbers)
    if not right:
        return unknown(f"nobody saw what {source} held while it was asked", routing=numbers)
    return passed(_all_right(source, numbers), routing=numbers)


def _told(words: str, requests: Sequence[tuple[Record, RequestDone]]) -> str:
    record, done = requests[0]
    return f"{words} ({count(len(requests), 'request')}, first {done.id} at {clock_time(record.t)})"


def _all_right(source: str, numbers: Mapping[str, object]) -> str:
    either = f"; {numbers['open']} came while that changed" if numbers["open"] else ""
    named = numbers["named"]
    sent = sum(named.values()) if isinstance(named, dict) else 0
    return (
        f"{source} was right {numbers['judged']} times: it named a replica that can do it {sent} times, and "
        f"none {numbers['refused']} times, when there was none{either}"
    )
