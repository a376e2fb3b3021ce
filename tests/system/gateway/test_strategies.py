"""Strategies: what opens a circuit, and what does not. The clock is a number."""

import pytest

from system.gateway.strategies import STRATEGIES, Options, Tally

GOOD, BAD = Tally(good=1), Tally(bad=1)
SLOW = Tally(good=1, slow=1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_stays_closed_while_all_is_well(name: str) -> None:
    """Good calls that are fast open nothing, however many."""
    made = STRATEGIES[name](Options())
    assert [made.count(GOOD, second / 10) for second in range(1000)] == [""] * 1000
    assert made.failures == 0


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_opens_when_everything_fails(name: str) -> None:
    """And says why."""
    made = STRATEGIES[name](Options())
    reasons = [made.count(BAD, second / 10) for second in range(10)]
    assert "fail" in next(reason for reason in reasons if reason)
    assert made.failures >= 5


def test_consecutive_counts_a_row() -> None:
    """A success ends it; in a batch of others the good ones came first."""
    made = STRATEGIES["consecutive"](Options(threshold=3))
    assert [made.count(one, 0.0) for one in (BAD, BAD, GOOD, BAD, BAD)] == [""] * 5
    assert made.count(Tally(good=4, bad=2), 0.0) == ""
    assert made.failures == 2
    assert made.count(BAD, 0.0) == "3 failures in a row"


def test_error_rate_wants_a_share_of_enough_calls() -> None:
    """Failures far apart from each other do not add up, and few calls say nothing."""
    options = Options(window=10, min_volume=10, failure_share=0.5)
    made = STRATEGIES["error-rate"](options)
    assert [made.count(BAD, 0.0) for _ in range(9)] == [""] * 9
    assert made.count(BAD, 11.0) == ""
    assert made.failures == 1
    made = STRATEGIES["error-rate"](options)
    for second in range(9):
        assert made.count(GOOD if second % 2 else BAD, second) == ""
    assert made.count(BAD, 9.0) == "6 of 10 calls failed within 10 s"


def test_error_rate_bears_a_few_failures_in_a_row() -> None:
    """Where many calls are good, five failures in a row are few."""
    made = STRATEGIES["error-rate"](Options())
    assert made.count(Tally(good=100), 0.0) == ""
    assert [made.count(BAD, 1.0) for _ in range(20)] == [""] * 20


def test_slow_calls_open_it_although_they_succeed() -> None:
    """Half of the calls took longer than they should."""
    made = STRATEGIES["slow-calls"](Options(min_volume=4, slow_after=2))
    assert [made.count(one, 0.0) for one in (GOOD, GOOD, SLOW)] == [""] * 3
    assert made.count(SLOW, 1.0) == "2 of 4 calls took 2 s or longer"
