"""What the router counts per model and backend: outcomes, durations, retries; metrics.py writes it."""

import re
from bisect import bisect_left
from collections import Counter

from system.router.outcomes import Outcome

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

TAIL = 2048  # bytes at the end of an answer in which its usage is looked for
_TOKENS = re.compile(rb'"completion_tokens"\s*:\s*(\d{1,9})')


class Histogram:
    """Durations in seconds, by bucket."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Series:
    """The exchanges of one model with one backend."""

    __slots__ = ("durations", "first_bytes", "outcomes", "tokens")

    def __init__(self) -> None:
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.tokens = 0  # completion tokens that answers told of
        self.durations = Histogram()
        self.first_bytes = Histogram()


class Totals:
    """What belongs to no backend: refusals by their code, retries by their cause, requests that wait."""

    def __init__(self) -> None:
        self.requests = 0
        self.refusals: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.transitions: Counter[tuple[str, str]] = Counter()


def tokens_told(tail: bytes) -> int:
    """The completion tokens that the end of an answer tells of; 0 where it tells of none."""
    at = tail.rfind(b'"completion_tokens"', -TAIL)
    found = _TOKENS.match(tail, at) if at >= 0 else None
    return int(found[1]) if found else 0
