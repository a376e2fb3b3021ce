"""Several processes, each with its own standing, one store, and a network that delays, doubles, loses: a model.

The model knows what really happened: who was granted a probe and when, when the provider was reset, which
circuits there ever were. Time is a number; every process has its own clock.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from system.breaker import CLOSED, HALF_OPEN, OPEN
from system.gateway.standing import Answer, Standing, Terms
from system.gateway.strategies import STRATEGIES, Options, Tally
from system.gateway.transitions import SLACK, Author, Circuit, Moment, granted, supersedes

TERMS = Terms(recovery=60.0, lease=10.0)
THRESHOLD = 3
PROCESSES = 4


@dataclass
class Call:
    """A request under way."""

    epoch: tuple[int, int]
    probe: bool
    began: float


@dataclass
class Process:
    """A standing, its clock, its calls, and what is on its way to it."""

    author: Author
    offset: float
    standing: Standing
    calls: list[Call] = field(default_factory=list)
    inbox: list[tuple[Circuit, float] | tuple[int, Tally]] = field(default_factory=list)

    def moment(self, now: float) -> Moment:
        return Moment(now=now + self.offset, wall=now, author=self.author)

    def to_here(self, circuit: Circuit) -> Circuit:
        return replace(circuit, due=circuit.due + self.offset)

    def from_here(self, circuit: Circuit) -> Circuit:
        return replace(circuit, due=circuit.due - self.offset)


def standing() -> Standing:
    return Standing(TERMS, lambda: STRATEGIES["consecutive"](Options(threshold=THRESHOLD)))


class Together(RuleBasedStateMachine):
    """What is done to them; the invariants are what must hold whatever is done."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.processes: list[Process] = []
        self.store: Circuit | None = None
        self.ties = itertools.count(1)
        self.highest: dict[int, tuple[int, bool]] = {}

    @initialize(offsets=st.lists(st.floats(-500, 500), min_size=PROCESSES, max_size=PROCESSES))
    def begin(self, offsets: list[float]) -> None:
        for offset in offsets:
            self.processes.append(self.fresh(offset))

    def fresh(self, offset: float) -> Process:
        return Process(Author(name="p", tie=next(self.ties)), offset, standing())

    # what a process does

    @rule(of=st.integers(0, PROCESSES - 1))
    def admit(self, of: int) -> None:
        """A request wants to go; where a probe is due, the store says whether it may."""
        process = self.processes[of]
        at = process.moment(self.now)
        answer = process.standing.ask(at.now)
        if answer is Answer.WAIT:
            return
        circuit = process.standing.circuit
        if answer is Answer.GO:
            assert circuit.state is CLOSED
            process.calls.append(Call(circuit.epoch, probe=False, began=self.now))
            return
        wanted = process.standing.to_claim(at)
        if granted(process.from_here(wanted), self.store, self.now):
            assert self.live_probes() == [], "two probes at the same time"
            self.stored(process.from_here(wanted))
            process.standing.adopt(wanted)
            assert process.standing.circuit == wanted, "granted, and not in force where it was"
            process.calls.append(Call(wanted.epoch, probe=True, began=self.now))
        else:
            assert self.store is not None
            process.standing.adopt(process.to_here(self.store))

    @rule(of=st.integers(0, PROCESSES - 1))
    def everything_fails(self, of: int) -> None:
        """As many calls as it takes, of one process."""
        process = self.processes[of]
        for _ in range(THRESHOLD):
            self.admit(of)
            if process.calls:
                self.end(of, len(process.calls) - 1, "f")

    @rule(of=st.integers(0, PROCESSES - 1), which=st.integers(0, 9), how=st.sampled_from("sfna"))
    def end(self, of: int, which: int, how: str) -> None:
        """A call ends: succeeded, failed, said nothing, asked for a rest."""
        process = self.processes[of]
        if not process.calls:
            return
        call = process.calls.pop(which % len(process.calls))
        at, before = process.moment(self.now), process.standing.circuit
        changed: Circuit | None
        tally = Tally()
        if how == "s":
            changed, tally = process.standing.succeeded(call.epoch, 1.0, at)
        elif how == "f":
            changed, tally = process.standing.failed(call.epoch, 1.0, at)
        else:
            changed = process.standing.abandoned(call.epoch, 20.0 if how == "a" else 0.0, at)
        if call.epoch != before.epoch:
            assert changed is None, "a call of an older epoch changed something"
            assert tally == Tally()
        if call.probe and call.epoch == before.epoch:
            assert process.standing.state is {"s": CLOSED, "f": OPEN, "n": OPEN, "a": OPEN}[how]
        self.news(process, changed, tally, before.version)

    @rule(of=st.integers(0, PROCESSES - 1))
    def reset(self, of: int) -> None:
        """Done as it is done: until the store agrees."""
        process = self.processes[of]
        for _ in range(3):
            self.keep(process, process.standing.reset(process.moment(self.now)))
            assert self.store is not None
            if self.store.state is CLOSED:
                break
            process.standing.adopt(process.to_here(self.store))
        assert self.store is not None
        assert self.store.state is CLOSED
        assert process.standing.state is CLOSED

    @rule()
    def probes_go_on(self) -> None:
        """Whoever has one says so, in time."""
        for process in self.processes:
            for call in process.calls:
                changed = (
                    process.standing.renew(call.epoch, self.now + process.offset) if call.probe else None
                )
                if changed is not None:
                    self.keep(process, changed)
                    assert self.store is not None
                    assert self.store.epoch != call.epoch or self.now + TERMS.lease - SLACK <= self.store.due

    @rule(of=st.integers(0, PROCESSES - 1), offset=st.floats(-500, 500))
    def dies_and_another_comes(self, of: int, offset: float) -> None:
        """Its calls are lost, its probe included; the new one reads the store before it serves."""
        self.processes[of] = fresh = self.fresh(offset)
        self.compare(fresh)
        if self.store is not None:
            assert fresh.standing.state is self.store.state

    # what happens to them

    @rule(seconds=st.sampled_from([1.0, 9.0, 61.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(of=st.integers(0, PROCESSES - 1), which=st.integers(0, 9), twice=st.booleans())
    def news_arrives(self, of: int, which: int, twice: bool) -> None:
        """In any order, late; circuits also twice."""
        process = self.processes[of]
        if not process.inbox:
            return
        message = process.inbox.pop(which % len(process.inbox))
        self.deliver(process, message)
        if twice and isinstance(message[0], Circuit):
            self.deliver(process, message)

    @rule()
    def all_news_arrives(self) -> None:
        for process in self.processes:
            while process.inbox:
                self.deliver(process, process.inbox.pop(0))

    @rule(of=st.integers(0, PROCESSES - 1))
    def news_is_lost(self, of: int) -> None:
        self.processes[of].inbox.clear()

    @rule()
    def the_store_forgets(self) -> None:
        """Evicted; at the next comparison somebody brings what is known. Until then nobody is sure."""
        self.store = None
        for process in self.processes:
            self.compare(process)

    @precondition(lambda self: self.processes)
    @rule()
    def all_compare(self) -> None:
        """After two rounds everybody says the same, and every process that is CLOSED admits at once."""
        for _ in range(2):
            for process in self.processes:
                self.compare(process)
        assert len({one.standing.circuit.epoch for one in self.processes}) == 1
        assert len({one.standing.state for one in self.processes}) == 1
        dues = [one.from_here(one.standing.circuit).due for one in self.processes]
        if self.processes[0].standing.circuit.version:
            assert max(dues) - min(dues) <= 4 * SLACK, dues

    # what must hold

    @invariant()
    def no_process_goes_back(self) -> None:
        for process in self.processes:
            circuit = process.standing.circuit
            order = (circuit.version, circuit.cause == "reset")
            assert order >= self.highest.get(process.author.tie, (0, False))
            self.highest[process.author.tie] = order

    @invariant()
    def counts_are_below_the_threshold_while_closed(self) -> None:
        for process in self.processes:
            if process.standing.state is CLOSED:
                assert process.standing.failures < THRESHOLD
            elif process.standing.circuit.cause == "failures":
                assert process.standing.failures >= THRESHOLD

    def live_probes(self) -> list[Call]:
        """Those whose result would count, and whose lease has not run out in the store."""
        held = self.store
        return [
            call
            for process in self.processes
            for call in process.calls
            if held is not None
            and call.probe
            and held.state is HALF_OPEN
            and call.epoch == held.epoch
            and self.now < held.due - SLACK
        ]

    def news(self, process: Process, changed: Circuit | None, tally: Tally, version: int) -> None:
        if changed is not None:
            self.keep(process, changed)
        elif tally != Tally():
            for other in self.processes:
                if other is not process:
                    other.inbox.append((version, tally))

    def stored(self, circuit: Circuit) -> None:
        assert self.store is None or circuit.version >= self.store.version, "the store went back"
        self.store = circuit
        for process in self.processes:
            process.inbox.append((circuit, self.now))

    def keep(self, process: Process, circuit: Circuit) -> None:
        """The store takes it if it supersedes, and everybody is told; its answer is adopted."""
        brought = process.from_here(circuit)
        if self.store is None or supersedes(brought, self.store):
            self.stored(brought)
        assert self.store is not None
        process.standing.adopt(process.to_here(self.store))

    def compare(self, process: Process) -> None:
        if process.standing.circuit.version or self.store is not None:
            self.keep(process, process.standing.circuit)

    def deliver(self, process: Process, message: tuple[Circuit, float] | tuple[int, Tally]) -> None:
        first, second = message
        if isinstance(first, Circuit):
            process.standing.adopt(process.to_here(first))
        else:
            assert isinstance(second, Tally)
            changed = process.standing.heard(first, second, process.moment(self.now))
            self.news(process, changed, Tally(), first)


TestTogether = Together.TestCase
TestTogether.settings = hypothesis_settings(max_examples=200, stateful_step_count=40, deadline=None)


@pytest.fixture
def machine() -> Together:
    """Four processes that know nothing yet."""
    made = Together()
    made.begin([0.0] * PROCESSES)
    return made


@pytest.mark.parametrize("claims_first", [True, False])
def test_a_reset_and_a_claim_at_once_end_closed(machine: Together, claims_first: bool) -> None:
    """Whichever comes to the store first: a reset is what counts."""
    machine.everything_fails(0)
    machine.all_news_arrives()
    machine.time_goes_on(61)
    acts: list[Callable[[], None]] = [partial(machine.admit, 1), partial(machine.reset, 0)]
    for act in acts if claims_first else reversed(acts):
        act()
    machine.all_compare()
    assert {one.standing.state for one in machine.processes} == {CLOSED}


def test_a_lease_that_was_renewed_unheard_is_kept(machine: Together) -> None:
    """Who has not heard that a probe goes on does not get another one; when it no longer does, one follows."""
    machine.everything_fails(0)
    machine.all_news_arrives()
    machine.time_goes_on(61)
    machine.admit(0)
    machine.all_news_arrives()
    machine.time_goes_on(9)
    machine.probes_go_on()
    machine.news_is_lost(1)
    machine.time_goes_on(9)
    machine.admit(1)
    assert machine.processes[1].calls == []
    machine.time_goes_on(9)
    machine.admit(1)
    assert [call.probe for call in machine.processes[1].calls] == [True]
    machine.end(0, 0, "s")
    assert machine.store is not None
    assert machine.store.state is HALF_OPEN, "the late result of the probe that was given up counted"


def test_old_counts_are_forgotten(machine: Together) -> None:
    """What others counted before a circuit closed again says nothing about it now."""
    for of in range(THRESHOLD - 1):
        machine.admit(of)
        machine.end(of, 0, "f")
    machine.reset(2)
    machine.all_news_arrives()
    machine.all_compare()
    assert {one.standing.failures for one in machine.processes} == {0}


def test_of_two_changes_at_once_everybody_keeps_the_same(machine: Together) -> None:
    """Both processes open it by themselves; in whatever order the news comes, one of them is the author."""
    machine.store = None
    circuits = []
    for process in machine.processes[:2]:
        changed: Circuit | None = None
        for _ in range(THRESHOLD):
            changed, _ = process.standing.failed(
                process.standing.circuit.epoch, 1.0, process.moment(machine.now)
            )
        assert changed is not None
        circuits.append(changed)
    third, fourth = machine.processes[2:]
    for circuit, other in zip(circuits, reversed(circuits), strict=True):
        third.standing.adopt(circuit)
        fourth.standing.adopt(other)
    assert third.standing.circuit == fourth.standing.circuit


def test_who_has_missed_much_gets_no_probe(machine: Together) -> None:
    """A claim that rests on an old circuit is not granted, although the time of both has come."""
    machine.everything_fails(0)
    machine.all_news_arrives()
    machine.time_goes_on(61)
    machine.admit(0)
    machine.end(0, 0, "f")
    machine.time_goes_on(61)
    machine.admit(1)
    assert machine.processes[1].calls == []
    machine.admit(1)
    assert [call.probe for call in machine.processes[1].calls] == [True]


def test_a_reset_outweighs_what_happened_at_the_same_time(machine: Together) -> None:
    """One process is asked to reset just when another one sees too much fail: it is closed."""
    one, other = machine.processes[:2]
    closed = one.standing.reset(one.moment(machine.now))
    for _ in range(THRESHOLD):
        other.standing.failed(other.standing.circuit.epoch, 1.0, other.moment(machine.now))
    opened = other.standing.circuit
    assert opened.version == closed.version
    assert opened.author.tie > closed.author.tie
    assert other.standing.adopt(closed)
    assert not one.standing.adopt(opened)
    assert one.standing.state is other.standing.state is CLOSED
