"""What probes say about a backend, as tables of looks."""

import pytest

from system.babysitter.liveness import Liveness

# (time, what the look showed) ... with patience 4 from time 0; alive at the end?
LOOKS: list[tuple[list[tuple[float, str]], bool]] = [
    ([], True),
    ([(1, "denied")], True),
    ([(1, "denied"), (1.2, "denied")], False),
    ([(1, "denied"), (1.2, "answered"), (1.4, "denied")], True),
    ([(1, "answered"), (4.9, "silent")], True),
    ([(1, "answered"), (5, "silent")], False),
    ([(1, "answered"), (5, "denied")], False),
    ([(1, "denied"), (1.2, "silent"), (1.4, "denied")], False),
    ([(9, "silent"), (10, "answered")], True),
]


@pytest.mark.parametrize(("looks", "alive"), LOOKS)
def test_denials_count_twice_and_silence_for_as_long_as_patience(
    looks: list[tuple[float, str]], alive: bool
) -> None:
    """Two denials in a row, or silence as long as patience, end it; any answer restores it."""
    liveness = Liveness(patience=4, now=0)
    for now, shown in looks:
        getattr(liveness, shown)(now)

    assert liveness.alive is alive


def test_a_probe_waits_no_longer_than_patience_lasts() -> None:
    """What is left of patience bounds the next probe, but leaves it a chance."""
    liveness = Liveness(patience=4, now=0)
    liveness.answered(10)

    assert [liveness.patience_left(now) for now in (10, 13, 99)] == [4, 1, 0.25]
