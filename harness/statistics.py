"""Sample sizes, exact tests and intervals for shares. Pure; every formula says where it comes from.

All of it rests on the binomial distribution: when n requests are spread independently with shares p_1..p_k,
the number that backend i serves is Binomial(n, p_i). One test judges them together: each backend's count is
tested exactly, and of k > 2 backends the smallest p-value is multiplied by k. For two backends both counts
say the same and the test is exact; for more it is conservative: the false-alarm rate is at most alpha. A
policy that spreads more evenly than chance (round robin) alarms less often still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil, inf, isqrt, lgamma, log, log1p, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

WIDTH = 12
"""Standard deviations beyond which a tail holds nothing that matters (less than 1e-32)."""


def _log_probability(x: int, n: int, p: float) -> float:
    """The logarithm of P(X = x), X ~ Binomial(n, p); 0 < p < 1."""
    choices = lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1)
    return choices + x * log(p) + (n - x) * log1p(-p)


def _probabilities(low: int, high: int, n: int, p: float) -> Vector:
    """P(X = x) for x = low..high, by the recurrence P(x+1) / P(x) = (n-x) / (x+1) * p / (1-p).

    Johnson, Kemp, Kotz: Univariate Discrete Distributions, chapter 3.
    """
    x = np.arange(low + 1, high + 1, dtype=np.float64)
    steps = np.cumsum(np.log((n - x + 1) / x) + (log(p) - log1p(-p)))
    logs: Vector = np.concatenate(([0.0], steps)) + _log_probability(low, n, p)
    probabilities: Vector = np.exp(logs)
    return probabilities


def _reach(n: int, p: float) -> int:
    return ceil(WIDTH * sqrt(n * p * (1 - p))) + 40


def at_most(x: int, n: int, p: float) -> float:
    """P(X <= x), X ~ Binomial(n, p); the smaller tail is summed, so that small values keep their digits."""
    if x < 0 or x >= n:
        return 0.0 if x < 0 else 1.0
    if p in (0.0, 1.0):
        return 1.0 - p
    if x > n * p:
        return 1.0 - at_most(n - x - 1, n, 1 - p)
    return float(_probabilities(max(0, x - _reach(n, p)), x, n, p).sum())


def at_least(x: int, n: int, p: float) -> float:
    """P(X >= x), X ~ Binomial(n, p)."""
    return at_most(n - x, n, 1 - p)


def binomial_p_value(x: int, n: int, p: float) -> float:
    """Two-sided exact test of one share: twice the smaller tail, at most 1.

    Clopper and Pearson (1934), Biometrika 26, 404: the test whose inversion is their interval.
    """
    return min(1.0, 2 * min(at_most(x, n, p), at_least(x, n, p)))


def shares_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Test whether counts were spread with these shares; see the module's docstring.

    The bound for more than two backends is Bonferroni's (Dunn 1961, J. Am. Stat. Assoc. 56, 52).
    """
    n = sum(counts)
    smallest = min(binomial_p_value(x, n, p) for x, p in zip(counts, shares, strict=True))
    return min(1.0, _tests(len(counts)) * smallest)


def _tests(backends: int) -> int:
    """How many different exact tests k backends make."""
    return 1 if backends <= 2 else backends


def share_interval(x: int, n: int, confidence: float) -> tuple[float, float]:
    """The interval that holds the true share at least this often.

    Clopper and Pearson (1934), Biometrika 26, 404.
    """
    rest = (1 - confidence) / 2
    low = 0.0 if x == 0 else _root(lambda p: at_least(x, n, p) - rest)
    high = 1.0 if x == n else _root(lambda p: rest - at_most(x, n, p))
    return low, high


def _root(rising: Callable[[float], float], low: float = 0.0, high: float = 1.0) -> float:
    """Where a rising function crosses zero, by bisection."""
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _last_rejected(n: int, p: float, alpha: float) -> int:
    """The largest x that is rejected for being too small: P(X <= x) <= alpha; -1 if there is none."""
    mean = int(n * p)
    low = max(0, mean - _reach(n, p))
    below = np.cumsum(_probabilities(low, mean, n, p))
    return low - 1 + int(np.searchsorted(below, alpha, side="right"))


def power(n: int, p: float, q: float, alpha: float) -> float:
    """The chance that the two-sided exact test of share p rejects n requests whose true share is q.

    The sum of the true probabilities over the test's critical region (Lehmann and Romano, Testing Statistical
    Hypotheses, section 3.1).
    """
    few = _last_rejected(n, p, alpha / 2)
    many = n - _last_rejected(n, 1 - p, alpha / 2)
    return at_most(few, n, q) + at_least(many, n, q)


def _biased(share: float, detect: float) -> list[float]:
    """The shares that are off by `detect` points and still are shares."""
    return [q for q in (share - detect, share + detect) if -1e-12 <= q <= 1 + 1e-12]


def worst_power(n: int, shares: Sequence[float], detect: float, alpha: float) -> float:
    """The chance to find one share off by `detect`, for the backend and the direction hardest to see."""
    level = alpha / _tests(len(shares))
    chances = [power(n, p, min(max(q, 0.0), 1.0), level) for p in set(shares) for q in _biased(p, detect)]
    return min(chances, default=0.0)


def normal_sample_size(p: float, q: float, alpha: float, wanted: float) -> int:
    """Roughly how many requests tell share q from share p: the normal approximation.

    n = ((z(1 - alpha/2) sqrt(p(1-p)) + z(power) sqrt(q(1-q))) / (p - q))^2
    (Fleiss, Levin, Paik: Statistical Methods for Rates and Proportions, section 2.5).
    """
    normal = NormalDist()
    spread = normal.inv_cdf(1 - alpha / 2) * sqrt(p * (1 - p)) + normal.inv_cdf(wanted) * sqrt(q * (1 - q))
    return ceil((spread / (p - q)) ** 2)


@lru_cache(maxsize=256)
def sample_size(shares: tuple[float, ...], detect: float, alpha: float, wanted: float) -> int:
    """The smallest n from which on the test finds every bias of `detect` with the wanted power.

    Exact: searched upward from the normal approximation. Since counts are whole numbers the power climbs in
    a saw-tooth, so n is taken where a whole tooth lies above the wanted power. ValueError when no share can
    be off by that much.
    """
    level = alpha / _tests(len(shares))
    rough = [
        normal_sample_size(p, min(max(q, 0.0), 1.0), level, wanted)
        for p in set(shares)
        for q in _biased(p, detect)
    ]
    if not rough:
        msg = f"no share of {', '.join(f'{p:.3g}' for p in sorted(set(shares)))} can be off by {detect:.3g}"
        raise ValueError(msg)
    tooth = ceil(2 / min(min(p, 1 - p) for p in shares))
    n = start = max(2, max(rough) - 4 * isqrt(max(rough)) - 10)
    enough = 0
    while enough < tooth:
        enough = enough + 1 if worst_power(n, shares, detect, alpha) >= wanted else 0
        n += 1
    found = n - tooth
    return found if found > start or start == 2 else _downward(found, shares, detect, alpha, wanted)


def _downward(n: int, shares: tuple[float, ...], detect: float, alpha: float, wanted: float) -> int:
    """The search's start was already enough: walk back to where it no longer is."""
    while n > 2 and worst_power(n - 1, shares, detect, alpha) >= wanted:
        n -= 1
    return n


def cycles_against_chance(k: int, alpha: float) -> int:
    """How many cycles of k requests chance gets right, each backend once in each, with at most this chance.

    One cycle of independent, equal choices is a permutation with probability k! / k^k (Feller, An
    Introduction to Probability Theory, volume 1, section II.3).
    """
    return ceil(log(alpha) / (lgamma(k + 1) - k * log(k)))


def smallest_bias(n: int, shares: Sequence[float], alpha: float, wanted: float) -> float:
    """The smallest bias that n requests would have shown with the wanted power; infinite if none would."""
    most = max(max(p, 1 - p) for p in shares)
    if worst_power(n, shares, most, alpha) < wanted:
        return inf
    return _root(lambda d: worst_power(n, shares, d, alpha) - wanted, 0.0, most)
