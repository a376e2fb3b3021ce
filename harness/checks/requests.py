"""What the checks on a load share: which requests count, who answered them, how one of them reads."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from harness.checks.words import clock_time, listed, sentences
from harness.events import CUT_OFF, LEFT, Seen
from harness.history import of

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts, ServiceFacts

NOTHING_SENT = "no request was sent"

WHO_SERVES = (
    "no answer says who served it: give the service kind (or the inventory) "
    "'served_by: {header: NAME}' or 'served_by: {content: PATTERN}'"
)


def is_ok(done: RequestDone) -> bool:
    """Whether a request was answered whole."""
    return done.outcome == "ok" and (done.complete or not done.stream)


def was_cut_off(done: RequestDone) -> bool:
    """Whether the end of its load, or its client, kept a request from an outcome that nobody knows now."""
    return done.outcome == "unknown" and done.error in (CUT_OFF, LEFT)


def claimants(done: RequestDone, facts: Facts) -> dict[str, ServiceFacts]:
    """The names an answer carries that belong to a service: who said it served -> that service."""
    names = dict.fromkeys(filter(None, (*done.claims.values(), done.served_by)))
    return {name: owner for name in names if (owner := facts.owner(name)) is not None}


def offered(name: str, owner: ServiceFacts) -> frozenset[str]:
    """The models that may be served under a name: those registered under it, else all of its service.

    Of a replica with capabilities they are the types and models that these name.
    """
    able = owner.capabilities.get(name, ())
    replicas = {str(one[key]) for one in able for key in ("type", "model") if key in one}
    registers: Mapping[str, tuple[str, ...]] = owner.registers
    if registers.get(name) or replicas:
        return frozenset({*registers.get(name, ()), *replicas})
    return frozenset(model for models in registers.values() for model in models)


def serving_name(done: RequestDone, facts: Facts, among: Container[str]) -> str:
    """The one of these names that stands for who served a request; else the name that the answer gave."""
    owner = facts.owner(done.served_by)
    if done.served_by in among or owner is None:
        return done.served_by
    meant = [name for name in (owner.name, *owner.registers) if name in among]
    return meant[0] if len(meant) == 1 else done.served_by


def foreign_names(names: Iterable[str], evidence: Evidence) -> str:
    """Why names can be nobody's in particular: no service has them and no registry ever showed them."""
    shown = {
        name
        for _, seen in of(evidence.records, Seen)
        if seen.view == "services" and seen.ok and not seen.same
        for name in seen.value
    }
    foreign = sorted(name for name in names if evidence.facts.owner(name) is None and name not in shown)
    if not foreign:
        return ""
    return (
        f"answers came from {listed(foreign)}, which no service answers as: state it under 'answers_as' of "
        "its service in the topology or inventory"
    )


def told(done: RequestDone) -> str:
    """One request in words: its id, when it ended, how, and by whom."""
    how = done.error or (f"{done.status}" if done.status is not None else done.outcome)
    if done.outcome == "ok" and not is_ok(done):
        how = f"the stream broke off after {done.chunks} chunks"
    who = f", from {done.served_by}" if done.served_by else ""
    return f"{done.id} at {clock_time(done.ended)}: {how}{who}"


def told_all(requests: Iterable[RequestDone], most: int = 3) -> str:
    """The first few requests in words, and how many more."""
    return sentences([told(done) for done in requests], most)
