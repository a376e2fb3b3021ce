"""A name at a registry, as a state machine: tables of answers and what is sent next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.babysitter.registration import Action, Outcome, Registration, State

R, H, L, X = Action.REGISTER, Action.HEARTBEAT, Action.LOOK, Action.REMOVE


class Driven:
    """A registration whose owner is always alive, with a clock moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.registration = Registration(interval=1.0, ttl=4.0)
        self.registration.confirm(float("inf"))
        self.registration.want(self.now)

    def answer(self, status: int | None, lease_id: str | None = None) -> Action:
        """Wait until something is due, answer it, and say what it was."""
        due = self.registration.due_in(self.now)
        assert due is not None, "nothing will ever be sent"
        self.now += due
        action = self.registration.next(self.now)
        assert action is not None
        self.registration.answered(action, Outcome(status, lease_id), sent=self.now, now=self.now, dice=1.0)
        return action

    @property
    def pause(self) -> float | None:
        due = self.registration.due_in(self.now)
        return None if due is None else round(due, 6)


# answers in turn -> (what was sent, what comes next, after how long)
STORIES: list[tuple[list[int | None], list[Action], Action, float]] = [
    ([201], [R], H, 1.0),
    ([201, 200], [R, H], H, 1.0),
    ([201, 404], [R, H], R, 0.0),
    ([201, 409], [R, H], L, 2.0),
    ([201, 409, 200], [R, H, L], L, 2.0),
    ([201, 409, 404], [R, H, L], R, 0.0),
    ([201, 409, None], [R, H, L], L, 0.1),
    ([409], [R], L, 2.0),
    ([None], [R], R, 0.1),
    ([None, None], [R, R], R, 0.2),
    ([None] * 9, [R] * 9, R, 1.0),
    ([500, 503, 429], [R] * 3, R, 0.4),
    ([422], [R], R, 0.1),
    ([404], [R], R, 0.1),
    ([None, 201], [R, R], H, 1.0),
    ([201, None], [R, H], H, 0.1),
    ([201, None, None, 200, None], [R, H, H, H, H], H, 0.1),
    ([201, 401], [R, H], H, 0.1),
]


@pytest.mark.parametrize(("answers", "sent", "next_action", "pause"), STORIES)
def test_each_answer_decides_what_is_sent_next(
    answers: list[int | None], sent: list[Action], next_action: Action, pause: float
) -> None:
    """Registered names beat, forgotten ones register at once, taken ones are left alone, trouble backs off."""
    driven = Driven()

    assert [driven.answer(status) for status in answers] == sent
    assert driven.pause == pause
    assert driven.answer(None) is next_action


# answers before the drop -> whether something must be removed
DROPS: list[tuple[list[int | None], bool]] = [
    ([], False),
    ([201], True),
    ([None], True),
    ([500], True),
    ([201, 404], False),
    ([201, 409], False),
    ([409], False),
]


@pytest.mark.parametrize(("answers", "removes"), DROPS)
def test_only_what_is_or_may_be_ours_is_removed(answers: list[int | None], removes: bool) -> None:
    """A name that is ours, or whose registration got no answer, is removed; one that others hold is not."""
    driven = Driven()
    for status in answers:
        driven.answer(status)
    driven.registration.drop(driven.now)

    assert driven.registration.next(driven.now) is (X if removes else None)
    assert driven.registration.settled is not removes


@pytest.mark.parametrize(
    ("status", "settled"), [(200, True), (404, True), (409, True), (None, False), (500, False)]
)
def test_a_removal_is_repeated_until_it_is_answered(status: int | None, settled: bool) -> None:
    """Gone, unknown and somebody else's all mean done."""
    driven = Driven()
    driven.answer(201, "lease-1")
    driven.registration.drop(driven.now)
    driven.answer(status)

    assert driven.registration.settled is settled


def test_a_lease_is_kept_until_the_name_is_lost() -> None:
    """The lease of the registration survives heartbeats, which answer with none, and goes with the name."""
    driven = Driven()
    leases = []
    for status, lease in [(201, "one"), (200, None), (404, None), (201, "two")]:
        driven.answer(status, lease)
        leases.append(driven.registration.lease_id)

    assert leases == ["one", "one", None, "two"]


def test_a_heartbeat_needs_a_new_sign_of_life() -> None:
    """Without a confirmation since the last heartbeat nothing is sent, however late it is."""
    registration = Registration(interval=1.0, ttl=4.0)
    registration.want(100.0)
    registration.answered(R, Outcome(201), sent=100.0, now=100.0, dice=0.5)

    assert registration.next(103.0) is None
    assert registration.due_in(103.0) is None
    registration.confirm(102.0)
    assert registration.next(103.0) is H


def test_a_name_dropped_while_its_registration_is_under_way_is_removed_at_once() -> None:
    """The answer that grants a name nobody wants any more leads straight to its removal."""
    registration = Registration(interval=1.0, ttl=4.0)
    registration.want(100.0)
    assert registration.next(100.0) is R
    registration.drop(100.1)
    registration.answered(R, Outcome(201, "lease-1"), sent=100.0, now=100.2, dice=0.5)

    assert registration.next(100.2) is X


def test_retries_of_many_are_spread() -> None:
    """The same failure leads to different pauses for different dice, within a factor of two."""
    pauses = []
    for dice in (0.0, 0.5, 0.999):
        registration = Registration(interval=1.0, ttl=4.0)
        registration.want(100.0)
        registration.answered(R, Outcome(None), sent=100.0, now=100.0, dice=dice)
        pauses.append(registration.due_in(100.0))

    assert pauses == pytest.approx([0.05, 0.075, 0.1], abs=1e-3)


@given(st.lists(st.sampled_from([200, 201, 404, 409, 422, 429, 500, 503, None]), max_size=40))
def test_a_wanted_name_always_comes_back(statuses: list[int | None]) -> None:
    """Whatever a registry answers, soon after it is well again the name is held."""
    driven = Driven()
    for status in statuses:
        driven.answer(status)

    for _ in range(3):
        if driven.registration.state is not State.HELD:
            driven.answer(404 if driven.registration.state is State.TAKEN else 201)
    assert driven.registration.state is State.HELD
