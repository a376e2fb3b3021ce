"""Leases, driven against a model by Hypothesis."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from system.leases import Leases, NotOwner, Terms, UnknownKey

KEYS = st.sampled_from("abc")
TERMS = st.one_of(
    st.none(),
    st.integers(1, 8).map(lambda ttl: Terms.ttl(float(ttl))),
    st.tuples(st.integers(1, 5), st.integers(1, 5)).map(
        lambda two: Terms(unhealthy=float(two[0]), removed=float(sum(two)))
    ),
)


@dataclass
class Held:
    """What the model knows of a lease: the plainest thing that can be right."""

    id: str
    terms: Terms | None
    renewed: float

    def overdue(self, now: float) -> bool:
        return self.terms is not None and now - self.renewed >= self.terms.unhealthy

    def over(self, now: float) -> bool:
        return self.terms is not None and now - self.renewed >= self.terms.removed


class LeasesAgainstAModel(RuleBasedStateMachine):
    """Whatever is granted, renewed, changed and released: the table is what the definitions say."""

    @initialize()
    def start(self) -> None:
        numbers = itertools.count()
        self.leases = Leases(lambda: f"lease-{next(numbers)}")
        self.model: dict[str, Held] = {}
        self.older: list[tuple[str, str]] = []
        self.now = 0.0

    @rule(key=KEYS, terms=TERMS)
    def grant(self, key: str, terms: Terms | None) -> None:
        if key in self.model:
            self.older.append((key, self.model[key].id))
        lease = self.leases.grant(key, terms, self.now)
        self.model[key] = Held(lease.id, terms, self.now)

    @rule(key=KEYS, named=st.booleans())
    def renew(self, key: str, named: bool) -> None:
        held = self.model.get(key)
        if held is None:
            with pytest.raises(UnknownKey):
                self.leases.renew(key, self.now)
            return
        self.leases.renew(key, self.now, held.id if named else None)
        held.renewed = self.now

    @rule(key=KEYS, terms=TERMS)
    def change_terms(self, key: str, terms: Terms | None) -> None:
        if key in self.model:
            self.leases.change_terms(key, terms, self.now)
            self.model[key].terms, self.model[key].renewed = terms, self.now

    @rule(key=KEYS)
    def release(self, key: str) -> None:
        if key in self.model:
            assert self.leases.release(key, self.model.pop(key).id).key == key

    @rule(data=st.data())
    def an_older_owner_can_do_nothing(self, data: st.DataObject) -> None:
        if not self.older:
            return
        key, lease_id = data.draw(st.sampled_from(self.older))
        expected = NotOwner if key in self.model else UnknownKey
        with pytest.raises(expected):
            self.leases.renew(key, self.now, lease_id)
        with pytest.raises(expected):
            self.leases.release(key, lease_id)

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        removed = {due.lease.key for due in self.leases.due(self.now) if due.removed}
        over = {key for key, held in self.model.items() if held.over(self.now)}
        assert removed == over
        for key in over:
            self.older.append((key, self.model.pop(key).id))

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert len(self.leases) == len(self.model)
        for key, held in self.model.items():
            lease = self.leases.held(key, held.id)
            assert lease.overdue == held.overdue(self.now)
            assert lease.fresh(self.now) == (not held.overdue(self.now))

    @invariant()
    def knows_the_next_instant(self) -> None:
        instants = [
            held.renewed + (held.terms.removed if held.overdue(self.now) else held.terms.unhealthy)
            for held in self.model.values()
            if held.terms is not None
        ]
        assert self.leases.next_due() == min(instants, default=None)


LeasesAgainstAModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLeases = LeasesAgainstAModel.TestCase


def test_memory_follows_the_number_of_leases() -> None:
    """Registering the same key again and again leaves nothing behind."""
    leases = Leases(lambda: "x")
    for number in range(10_000):
        leases.grant("a", Terms.ttl(100 + number % 7), float(number))
    assert len(leases._heap) < 200


def test_renewing_does_not_grow_the_heap() -> None:
    """A renewal is a number stored, not an entry more."""
    leases = Leases(lambda: "x")
    leases.grant("a", Terms.ttl(4), 0.0)
    for number in range(1_000):
        leases.renew("a", float(number))
        list(leases.due(float(number)))
    assert len(leases._heap) == 1


def test_falls_due_in_order() -> None:
    """What was due first is told first, whatever came in first."""
    leases = Leases(lambda: "x")
    for key, ttl in (("late", 9.0), ("early", 2.0), ("middle", 5.0)):
        leases.grant(key, Terms.ttl(ttl), 0.0)
    assert [due.lease.key for due in leases.due(10.0)] == ["early", "middle", "late"]


@given(st.floats(0, 1e9), st.floats(0.05, 86_400), st.floats(0, 1))
def test_is_over_at_its_instant_whatever_floats_make_of_it(start: float, ttl: float, early: float) -> None:
    """The instant that `next_due` names is the one at which `due` removes; before it nothing is due."""
    leases = Leases(lambda: "x")
    leases.grant("a", Terms.ttl(ttl), start)
    instant = leases.next_due()
    assert instant is not None
    before = start + (instant - start) * early
    if before < instant:
        assert list(leases.due(before)) == []
    assert [due.removed for due in leases.due(instant)] == [True]
