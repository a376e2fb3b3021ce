"""When a backend is started again, as a table of runs."""

import pytest

from system.babysitter.restarts import RestartRules, Restarts

# how long each run lasted, and the pause that followed it (None: gave up)
RUNS: list[tuple[RestartRules, list[tuple[float, float | None]]]] = [
    (
        RestartRules(delay=1, most=10),
        [(0.1, 1), (0.1, 2), (0.1, 4), (0.1, 8), (0.1, 16), (0.1, 30), (0.1, 30)],
    ),
    (RestartRules(delay=1, most=10), [(0.1, 1), (9.9, 2), (10.0, 1), (0.1, 2)]),
    (RestartRules(delay=0.5, most=2), [(0, 0.5), (0, 1), (0, None)]),
    (RestartRules(delay=0.5, most=1), [(60, 0.5), (60, 0.5), (0, None)]),
    (RestartRules(delay=1, most=0), [(60, None)]),
    (RestartRules(delay=60, most=10), [(0, 60), (0, 60)]),
]


@pytest.mark.parametrize(("rules", "runs"), RUNS)
def test_pauses_double_in_a_row_and_start_anew_after_a_stable_run(
    rules: RestartRules, runs: list[tuple[float, float | None]]
) -> None:
    """Crash loops are slowed down to the cap, a stable run is forgiven, and too many in a row end it."""
    restarts, now, pauses = Restarts(rules), 100.0, []
    for lasted, _ in runs:
        restarts.started(now)
        now += lasted
        pauses.append(restarts.ended(now))

    assert pauses == [pause for _, pause in runs]


def test_all_restarts_are_counted() -> None:
    """The total goes on where the count in a row starts anew."""
    restarts = Restarts(RestartRules(delay=1, most=10))
    for now in (100.0, 200.0, 300.0):
        restarts.started(now)
        restarts.ended(now + 50)

    assert (restarts.total, restarts.in_a_row) == (3, 1)
