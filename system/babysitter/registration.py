r"""One name at one registry: what to send next, what an answer means. A state machine, no I/O, no clock.

          want                 201                       404
absent ---------> REGISTER ---------> held --HEARTBEAT--------> absent (registers again at once)
   ^                                   |  \_409__
   |  drop: REMOVE                     |         v
   +-----------------------------------+       taken  --LOOK: 404--> absent
"""

from enum import Enum
from typing import NamedTuple

FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 2.0


class Action(Enum):
    """A request to the registry."""

    REGISTER = "register"
    HEARTBEAT = "heartbeat"
    LOOK = "look"
    REMOVE = "remove"


class State(Enum):
    """What is known about the name."""

    ABSENT = "absent"
    HELD = "held"
    UNSURE = "unsure"  # a registration was sent and its answer is not known
    TAKEN = "taken"  # somebody else registered the name after us


class Outcome(NamedTuple):
    """An answer's status, None when none came, and the lease that it granted."""

    status: int | None
    lease_id: str | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def means(self, action: "Action") -> bool:
        """Whether it says anything about the name: other answers say something about the registry's day."""
        return self.ok or self.status == 409 or (self.status == 404 and action is not Action.REGISTER)


_WANTED = {
    State.ABSENT: Action.REGISTER,
    State.UNSURE: Action.REGISTER,
    State.HELD: Action.HEARTBEAT,
    State.TAKEN: Action.LOOK,
}
_UNWANTED = {State.HELD: Action.REMOVE, State.UNSURE: Action.REMOVE}


class Registration:
    """Keeps a name registered while it is wanted and its owner is confirmed to be alive."""

    def __init__(self, *, interval: float, ttl: float) -> None:
        self._interval = interval
        self._look_again = ttl / 2
        self.state = State.ABSENT
        self.lease_id: str | None = None
        self.wanted = False
        self._due = 0.0
        self._failures = 0
        self._beat = 0.0
        self._confirmed = 0.0

    def want(self, now: float) -> None:
        """The name is to be registered; this is also a confirmation."""
        self.wanted, self._due, self._failures = True, now, 0
        self.confirm(now)

    def drop(self, now: float) -> None:
        """The name is to be removed."""
        self.wanted, self._due, self._failures = False, now, 0

    def confirm(self, now: float) -> None:
        """The owner of the name has just been seen alive; each heartbeat needs a new confirmation."""
        self._confirmed = max(self._confirmed, now)

    @property
    def settled(self) -> bool:
        """Nothing is left to remove."""
        return not self.wanted and self.state not in _UNWANTED

    def _action(self) -> Action | None:
        action = (_WANTED if self.wanted else _UNWANTED).get(self.state)
        return None if action is Action.HEARTBEAT and self._confirmed <= self._beat else action

    def due_in(self, now: float) -> float | None:
        """Seconds until there is something to send; None: not before something changes."""
        return max(0.0, self._due - now) if self._action() is not None else None

    def next(self, now: float) -> Action | None:
        """What to send now."""
        return self._action() if now >= self._due else None

    def answered(self, action: Action, outcome: Outcome, *, sent: float, now: float, dice: float) -> None:
        """Take in the answer to an action; `dice` in [0, 1) spreads retries of many over time."""
        if not outcome.means(action):
            if action is Action.REGISTER:
                self.state = State.UNSURE
            self._retry(now, dice)
            return
        self._failures = 0
        self._due = now
        match action:
            case Action.REGISTER | Action.HEARTBEAT if outcome.ok:
                self._holds(outcome, sent)
            case Action.REGISTER | Action.HEARTBEAT if outcome.status == 409:
                self.state, self.lease_id = State.TAKEN, None
                self._due = now + self._look_again
            case Action.LOOK if outcome.ok:
                self._due = now + self._look_again * (0.5 + dice / 2)
            case _:
                self.state, self.lease_id = State.ABSENT, None

    def _holds(self, outcome: Outcome, sent: float) -> None:
        self.state, self.lease_id, self._beat = State.HELD, outcome.lease_id or self.lease_id, sent
        if self.wanted:
            self._due = sent + self._interval

    def _retry(self, now: float, dice: float) -> None:
        longest = min(LONGEST_BACK_OFF, max(self._interval, FIRST_BACK_OFF))
        pause = min(longest, FIRST_BACK_OFF * 2 ** min(self._failures, 16))
        self._failures += 1
        self._due = now + pause * (0.5 + dice / 2)
