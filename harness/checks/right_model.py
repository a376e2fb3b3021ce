"""Check `right_model`: no request for a model reached a service that does not offer it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.requests import (
    NOTHING_SENT,
    WHO_SERVES,
    claimants,
    is_ok,
    offered,
    told_all,
)
from harness.checks.words import clock_time, count, listed, sentences
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class RightModel:
    """Every request for a model was served by a service that offers it, and answered as that model.

    ```yaml
    checks:
      - right_model
    ```

    Every name an answer carries is judged: when a router claims one service and the answering service says it
    is another, both are named. A service that answers 404 for a model it should offer fails too.
    """

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when each attributable request reached a service with its model."""
        asked = [(record, done) for record, done in evidence.requests() if done.model]
        if not asked:
            return unknown(f"{NOTHING_SENT} for a model")
        wrong: dict[str, list[int]] = {}
        for record, done in asked:
            for finding in _mistakes(done, evidence.facts):
                wrong.setdefault(finding, []).append(record.n)
        if wrong:
            return failed(
                _told(wrong, evidence), evidence=[n for numbers in wrong.values() for n in numbers[:5]]
            )
        return _nothing_wrong([done for _, done in asked], evidence.facts)


def _nothing_wrong(asked: list[RequestDone], facts: Facts) -> Verdict:
    attributed = [done for done in asked if claimants(done, facts)]
    nameless = [done for done in asked if is_ok(done) and not claimants(done, facts)]
    foreign = sorted({done.served_by for done in nameless if done.served_by})
    if foreign:
        return unknown(
            f"answers came from {listed(foreign)}, and nothing states which models are offered there: say so "
            "under 'registers' or 'answers_as' of its service in the topology or inventory"
        )
    if nameless:
        return unknown(f"{len(nameless)} of {count(len(asked), 'request')} went unattributed: {WHO_SERVES}")
    if not attributed:
        return unknown(f"none of {count(len(asked), 'request')} was answered: {told_all(asked)}")
    served: dict[str, set[str]] = {}
    for done in attributed:
        for owner in claimants(done, facts).values():
            served.setdefault(done.model, set()).add(owner.name)
    who = sentences([f"{model} by {listed(sorted(names))}" for model, names in sorted(served.items())])
    return passed(f"{count(len(attributed), 'request')} reached a service with their model: {who}")


def _mistakes(done: RequestDone, facts: Facts) -> Iterator[str]:
    """What is wrong with one request, in words that are the same for all requests with that fault."""
    by = claimants(done, facts)
    for name, owner in by.items():
        models = offered(name, owner)
        if done.model not in models:
            yield f"{name}, which offers {listed(sorted(models)) or 'no model'}, served {done.model}"
        elif _denies(done) and name == (done.served_by or name):
            yield f"{name} should offer {done.model}, but answered {done.error or done.status}"
    owners = {owner.name for owner in by.values()}
    if len(owners) > 1:
        yield f"one answer claims different services, {' and '.join(by)}, for {done.model}"
    if is_ok(done) and done.answered_model and done.answered_model != done.model:
        who = done.served_by or "somebody"
        yield f"{who} was asked for {done.model} and answered as {done.answered_model}"


def _denies(done: RequestDone) -> bool:
    """Whether a service says that it does not have the model."""
    return done.status in (400, 404) and "model" in done.error.lower()


def _told(wrong: dict[str, list[int]], evidence: Evidence) -> str:
    by_number = {record.n: (record, done) for record, done in evidence.requests()}
    parts = []
    for finding, numbers in wrong.items():
        record, done = by_number[numbers[0]]
        parts.append(
            f"{finding} ({count(len(numbers), 'request')}, first {done.id} at {clock_time(record.t)})"
        )
    return sentences(parts)
