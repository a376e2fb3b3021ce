"""The circuit breaker: when it opens, how it tries again, what it ignores. The clock is a number."""

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from system.breaker import Breaker, BreakerSettings, Snapshot, State, Verdict

GOOD, NEUTRAL, BAD = Verdict.SUCCESS, Verdict.NEUTRAL, Verdict.FAILURE


def breaker(**changes: float) -> Breaker:
    return Breaker(BreakerSettings(**changes))  # type: ignore[arg-type]


def feed(of: Breaker, verdicts: list[Verdict], now: float) -> None:
    for verdict in verdicts:
        of.record(of.begin(now), verdict, now)


def opened(now: float = 0.0, **changes: float) -> Breaker:
    made = breaker(**changes)
    feed(made, [BAD] * made.settings.min_volume, now)
    assert made.state is State.OPEN
    return made


def test_opens_at_the_share_once_the_volume_is_there() -> None:
    """Nine failures of nine say too little; the tenth request decides."""
    made = breaker()
    states = []
    for _ in range(10):
        feed(made, [BAD], 0.0)
        states.append(made.state)
    assert states == [State.CLOSED] * 9 + [State.OPEN]


def test_stays_closed_below_the_share() -> None:
    """Four failures among ten are not half."""
    made = breaker()
    feed(made, [GOOD] * 6 + [BAD] * 4, 0.0)
    before = made.state
    feed(made, [BAD] * 2, 0.0)
    assert (before, made.state) == (State.CLOSED, State.OPEN)


@pytest.mark.parametrize("later", [10.1, 11.5, 19.9, 1000.0])
def test_old_failures_are_forgotten(later: float) -> None:
    """What lies before the window does not count."""
    made = breaker()
    feed(made, [BAD] * 9, 0.0)
    feed(made, [BAD], later)
    assert made.state is State.CLOSED


def test_neutral_outcomes_never_open_it() -> None:
    """A peer that says it is busy is alive."""
    made = breaker()
    feed(made, [NEUTRAL] * 1000, 0.0)
    assert made.state is State.CLOSED


def test_open_admits_nothing_until_its_time_is_over() -> None:
    """Then one request at a time, as a probe."""
    made = opened()
    assert not made.permits(4.9)
    assert made.permits(5.0)
    assert made.state is State.HALF_OPEN
    made.begin(5.0)
    assert not made.permits(5.1)


def test_enough_good_probes_close_it() -> None:
    """Two in a row, one after the other."""
    made, states = opened(), []
    for now in (5.0, 5.1):
        assert made.permits(now)
        made.record(made.begin(now), GOOD, now)
        states.append(made.state)
    assert states == [State.HALF_OPEN, State.CLOSED]
    assert made.permits(5.2)


def test_bad_probe_opens_it_for_longer() -> None:
    """Each opening in a row lasts twice as long, up to a limit; closing starts over."""
    made, now, pauses = opened(), 0.0, []
    for _ in range(6):
        pauses.append(made.until - now)
        now = made.until
        assert made.permits(now)
        made.record(made.begin(now), BAD, now)
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_neutral_probe_frees_its_place_and_decides_nothing() -> None:
    """A probe whose client left is followed by another."""
    made = opened()
    assert made.permits(5.0)
    made.record(made.begin(5.0), NEUTRAL, 5.1)
    assert made.state is State.HALF_OPEN
    assert made.permits(5.1)


def test_probe_that_never_ends_does_not_block_for_ever() -> None:
    """Its place is given away after a while: no peer is half-open for good."""
    made = opened()
    assert made.permits(5.0)
    made.begin(5.0)
    assert not made.permits(9.9)
    assert made.permits(10.0)


def test_requests_from_before_it_opened_neither_close_nor_extend_it() -> None:
    """They say how the peer was, not how it is."""
    made = breaker()
    late = [made.begin(0.0) for _ in range(5)]
    feed(made, [BAD] * 10, 0.0)
    until = made.until
    made.record(late[0], BAD, 1.0)
    assert made.permits(5.0)
    for ticket in late[1:]:
        made.record(ticket, GOOD, 5.0)
    assert (made.state, made.until) == (State.HALF_OPEN, until)


def test_peer_that_asks_for_rest_gets_it_and_no_less() -> None:
    """Retry-After is honoured; a later, shorter one does not cut it."""
    made = breaker()
    made.rest(10.0)
    made.rest(3.0)
    assert not made.permits(9.9)
    assert made.permits(10.0)


def test_reset_forgets_everything() -> None:
    """A peer that registered anew starts with a clean sheet."""
    made = opened()
    made.reset()
    assert made.permits(0.0)
    feed(made, [BAD] * 9, 0.0)
    assert made.state is State.CLOSED


def test_news_from_another_process_are_taken_unless_they_are_old() -> None:
    """Versions decide: an opening is adopted, a late message from before changes nothing."""
    one, other = opened(now=1.0), breaker()
    assert other.adopt(one.snapshot(), 1.0)
    assert not other.permits(5.9)
    assert not other.adopt(Snapshot(state=State.CLOSED, version=0, until=0.0), 2.0)
    assert other.state is State.OPEN


def test_opening_is_only_ever_extended() -> None:
    """A second process that opened earlier does not shorten it."""
    made = opened(now=10.0)
    made.adopt(Snapshot(state=State.OPEN, version=made.version + 1, until=12.0), 10.0)
    assert made.until == 15.0


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.made = breaker(min_volume=3, open_for=1.0)
        self.tickets: list[int] = []

    @rule(seconds=st.floats(0.01, 3.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def send(self) -> None:
        if self.made.permits(self.now):
            self.tickets.append(self.made.begin(self.now))

    @rule(verdict=st.sampled_from(Verdict), which=st.integers(0, 100))
    def end(self, verdict: Verdict, which: int) -> None:
        if self.tickets:
            before = self.made.state
            ticket = self.tickets.pop(which % len(self.tickets))
            changed = self.made.record(ticket, verdict, self.now)
            assert changed == (self.made.state is not before)

    @invariant()
    def it_always_recovers(self) -> None:
        """From every state a healthy peer is trusted again within bounded time."""
        if self.made.state is State.OPEN:
            assert self.made.until <= self.now + 60.0

    @invariant()
    def few_probes_at_a_time(self) -> None:
        assert len(self.made._probes) <= self.made.settings.probes


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
