"""The mock's faults, as decisions on a clock and dice that are passed in."""

from typing import Any

import pytest

from mock_services.faults import BadControl, Faults, Plan, Refusal, changed

# faults, (now, dice) of each request, what each is answered with
PLANS: list[tuple[Faults, list[tuple[float, float]], list[Refusal | None]]] = [
    (Faults(), [(0, 0.0)], [None]),
    (Faults(fail=503), [(0, 0.0), (9, 0.9)], [Refusal(503), Refusal(503)]),
    (Faults(fail=500, fail_times=1), [(0, 0.5), (1, 0.5)], [Refusal(500), None]),
    (Faults(fail=500, fail_times=0), [(0, 0.5)], [None]),
    (Faults(fail=500, fail_for=2), [(1.9, 0.5), (2.0, 0.5)], [Refusal(500), None]),
    (Faults(fail=500, fail_probability=0.3), [(0, 0.29), (0, 0.3)], [Refusal(500), None]),
    (
        Faults(fail=500, fail_probability=0.3, fail_times=1),
        [(0, 0.5), (0, 0.1), (0, 0.1)],
        [None, Refusal(500), None],
    ),
    (Faults(rate_limit=2.0), [(0, 0.5)], [Refusal(429, 2.0)]),
]


@pytest.mark.parametrize(("faults", "requests", "answers"), PLANS)
def test_requests_are_refused_as_told(
    faults: Faults, requests: list[tuple[float, float]], answers: list[Refusal | None]
) -> None:
    """A plan refuses by count, by time, by share, or always; and nothing when told nothing."""
    plan = Plan(faults, now=0.0)

    assert [plan.refusal(now, dice) for now, dice in requests] == answers


def test_a_control_document_changes_only_what_it_names() -> None:
    """Setting one fault leaves the others as they are; null takes one back."""
    faults = changed(Faults(fail=503, hang=True), {"slow": "250ms", "hang": None})

    assert faults == Faults(fail=503, slow=0.25)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"slwo": 1}, "unknown key slwo; did you mean slow?"),
        ({"fail": 200}, "fail must be a status from 400 to 599"),
        ({"fail": True}, "fail must be a status"),
        ({"fail_probability": 1.5}, "fail_probability must be a number from 0 to 1"),
        ({"break_stream": -1}, "break_stream must be a whole number, 0 or more"),
        ({"slow": "soon"}, "slow must be a duration"),
        ([], "a JSON object is expected"),
    ],
)
def test_a_mistaken_control_document_is_refused(document: Any, words: str) -> None:
    """A mistake is named with what is allowed, and all of them at once."""
    with pytest.raises(BadControl, match="allowed keys: slow, ") as refused:
        changed(Faults(), document)

    assert words in str(refused.value)
