"""What a strategy is, what it is told, and what all of them are made with."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Calls that have ended, of this process or of another one: first the good ones, then the bad ones."""

    good: int = 0
    bad: int = 0
    slow: int = 0
    """How many of them, good or bad, took longer than they should."""


def plus(one: Tally, other: Tally) -> Tally:
    return Tally(good=one.good + other.good, bad=one.bad + other.bad, slow=one.slow + other.slow)


class Strategy(Protocol):
    """Watches a closed circuit, and says when it is to open. Made anew whenever the circuit closes."""

    weighs_good: bool
    """Whether good calls matter while none has failed; if so, others are told of them now and then."""

    @property
    def failures(self) -> int:
        """What is shown as the failure count."""
        ...

    def count(self, tally: Tally, now: float) -> str:
        """Take calls in; returns why the circuit is to open, or nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What strategies can be told; each takes what it needs."""

    threshold: int = 5
    """Failures in a row that open a circuit."""
    window: float = 60.0
    """Seconds that shares are taken over."""
    min_volume: int = 10
    """Calls in the window below which a share says nothing."""
    failure_share: float = 0.5
    slow_share: float = 0.5
    slow_after: float = 30.0
    """Seconds from which on a call is slow."""
