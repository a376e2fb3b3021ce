"""Sample sizes, exact tests and intervals, against closed forms, published numbers and simulation."""

from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import (
    at_least,
    at_most,
    binomial_p_value,
    cycles_against_chance,
    normal_sample_size,
    power,
    sample_size,
    share_interval,
    shares_p_value,
    smallest_bias,
    worst_power,
)

FAIR = (0.5, 0.5)
SEED = 20261120


@settings(deadline=None)
@given(n=st.integers(1, 60), p=st.floats(0.01, 0.99), data=st.data())
def test_tails_are_the_sums_of_the_definition(n: int, p: float, data: st.DataObject) -> None:
    """P(X <= x) and P(X >= x) equal the sums of C(n,k) p^k (1-p)^(n-k)."""
    x = data.draw(st.integers(0, n))
    exact = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    assert at_most(x, n, p) == pytest.approx(sum(exact[: x + 1]), rel=1e-9, abs=1e-300)
    assert at_least(x, n, p) == pytest.approx(sum(exact[x:]), rel=1e-9, abs=1e-300)


def test_tails_keep_small_values() -> None:
    """A tail far below the precision of 1 is still right: P(X <= 0) of 1000 fair coins is 2^-1000."""
    assert at_most(0, 1000, 0.5) == pytest.approx(2.0**-1000, rel=1e-9)
    assert at_most(-1, 10, 0.5) == 0.0
    assert at_most(10, 10, 0.5) == at_most(0, 10, 0.0) == 1.0
    assert at_most(9, 10, 1.0) == 0.0


def test_a_p_value_of_a_textbook() -> None:
    """Two-sided exact test of 8 heads in 10 throws of a fair coin: 112/1024."""
    assert binomial_p_value(8, 10, 0.5) == pytest.approx(112 / 1024)


@pytest.mark.parametrize(
    ("x", "n", "low", "high"), [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (3, 10, 0.0667, 0.6525)]
)
def test_intervals_of_published_tables(x: int, n: int, low: float, high: float) -> None:
    """Clopper-Pearson intervals at 95 % equal the printed ones."""
    assert share_interval(x, n, 0.95) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("share", "alpha", "printed"),
    [
        (0.6, 1e-3, 776),
        (0.6, 1e-6, 1286),
        (0.75, 1e-3, 113),
        (0.75, 1e-6, 191),
        (0.9, 1e-3, 35),
        (0.9, 1e-6, 62),
        (0.55, 1e-3, 3142),
        (0.55, 1e-6, 5194),
    ],
)
def test_sample_sizes_of_the_usual_table(share: float, alpha: float, printed: int) -> None:
    """The table of the normal approximation is met to the digit; the exact size is a few requests above it."""
    assert normal_sample_size(0.5, share, alpha, 0.99) == printed
    exact = sample_size(FAIR, share - 0.5, alpha, 0.99)
    assert printed <= exact <= printed + 4 + 2 * printed**0.5
    assert worst_power(exact, FAIR, share - 0.5, alpha) >= 0.99


@pytest.mark.parametrize(
    ("shares", "detect"),
    [(FAIR, 0.1), ((0.25,) * 4, 0.1), ((0.75, 0.25), 0.1), (FAIR, 0.5), ((0.1, 0.9), 0.3)],
)
def test_a_sample_size_is_the_smallest_from_which_on_power_holds(
    shares: tuple[float, ...], detect: float
) -> None:
    """Every larger sample has the power; one request fewer does not."""
    n = sample_size(shares, detect, 1e-6, 0.99)
    assert all(worst_power(larger, shares, detect, 1e-6) >= 0.99 for larger in range(n, n + 60))
    assert worst_power(n - 1, shares, detect, 1e-6) < 0.99


def test_impossible_biases_are_refused() -> None:
    """No share of a half can be off by 60 points."""
    with pytest.raises(ValueError, match="no share of"):
        sample_size(FAIR, 0.6, 1e-6, 0.99)


def test_the_smallest_bias_is_the_sample_sizes_inverse() -> None:
    """What a sample just shows is the bias it was chosen for; too small a sample shows none."""
    assert smallest_bias(sample_size(FAIR, 0.1, 1e-6, 0.99), FAIR, 1e-6, 0.99) == pytest.approx(0.1, rel=0.01)
    assert smallest_bias(10, FAIR, 1e-6, 0.99) == inf


def test_cycles_against_chance() -> None:
    """Twenty fair throws of two coins all land apart once in a million."""
    assert cycles_against_chance(2, 1e-6) == 20
    assert 0.5**20 <= 1e-6 < 0.5**19


def _rejected(counts: np.ndarray, shares: tuple[float, ...], alpha: float) -> float:
    """The share of simulated runs that the test rejects; equal counts are tested once."""
    rows, times = np.unique(counts, axis=0, return_counts=True)
    rejected = [shares_p_value([int(x) for x in row], shares) <= alpha for row in rows]
    return float(times[rejected].sum() / times.sum())


@pytest.mark.parametrize(
    ("shares", "runs"),
    [(FAIR, 100_000), ((0.75, 0.25), 100_000), ((0.5, 0.3, 0.2), 20_000), ((0.25,) * 4, 10_000)],
)
def test_correct_balancers_are_not_accused(shares: tuple[float, ...], runs: int) -> None:
    """Of 10,000 to 100,000 simulated correct balancers, no more fail than alpha allows (1 % here)."""
    alpha = 0.01
    counts = np.random.default_rng(SEED).multinomial(200, shares, size=runs)
    allowed = share_interval(round(alpha * runs), runs, 0.999)[1]
    assert _rejected(counts, shares, alpha) <= allowed


@pytest.mark.parametrize(
    ("shares", "planted"), [(FAIR, (0.6, 0.4)), (FAIR, (0.4, 0.6)), ((0.25,) * 4, (0.35, 0.25, 0.2, 0.2))]
)
def test_planted_biases_are_found(shares: tuple[float, ...], planted: tuple[float, ...]) -> None:
    """Of 2,000 or more simulated balancers that are off by 10 points, 99 % are found with the computed sample."""
    n = sample_size(shares, 0.1, 1e-6, 0.99)
    counts = np.random.default_rng(SEED).multinomial(n, planted, size=20_000 if len(shares) == 2 else 2_000)
    assert _rejected(counts, shares, 1e-6) >= 0.99 - 0.002


@settings(deadline=None, max_examples=50)
@given(counts=st.lists(st.integers(0, 400), min_size=2, max_size=6).filter(any))
def test_the_order_of_backends_does_not_matter(counts: list[int]) -> None:
    """A p-value lies between 0 and 1 and is the same for any order of equal backends."""
    shares = [1 / len(counts)] * len(counts)
    value = shares_p_value(counts, shares)
    assert 0 <= value <= 1
    assert shares_p_value(sorted(counts), shares) == pytest.approx(value, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 300), q=st.floats(0.02, 0.98))
def test_power_is_the_rejected_mass(n: int, q: float) -> None:
    """Power equals the true probability of all counts whose p-value is at most alpha."""
    alpha = 0.05
    region = [x for x in range(n + 1) if binomial_p_value(x, n, 0.3) <= alpha]
    mass = sum(comb(n, x) * q**x * (1 - q) ** (n - x) for x in region)
    assert power(n, 0.3, q, alpha) == pytest.approx(mass, rel=1e-6, abs=1e-12)
