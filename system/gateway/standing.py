"""How one provider stands in this process: asked before a call, told after it, and told what others know.

Decides only; the time comes in. What changes the circuit is returned, so that others can be told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from system.breaker import CLOSED, HALF_OPEN, State
from system.gateway import transitions
from system.gateway.strategies.base import Strategy, Tally, plus
from system.gateway.transitions import Circuit, Moment

Ended = tuple[Circuit | None, Tally]
"""The circuit, if it is another one now, and what others are to be told of at once."""
NO_NEWS: Ended = (None, Tally())


class Answer(Enum):
    """What a request is told that wants to go to the provider."""

    GO = "go"
    PROBE = "probe"
    """It may become the probe: whoever claims it first."""
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For how long things last, in seconds."""

    recovery: float = 60.0
    lease: float = 10.0
    slow_after: float = 30.0
    longest_rest: float = 300.0


class Standing:
    """A provider's circuit, and what has been counted since it closed."""

    def __init__(self, terms: Terms, strategy: Callable[[], Strategy]) -> None:
        self.circuit = Circuit()
        self.why = ""
        """What the strategy said when it opened the circuit here."""
        self.successes = 0
        self.last_success: float | None = None
        self.last_failure: float | None = None
        self._terms = terms
        self._new_strategy = strategy
        self._strategy = strategy()
        self._untold = Tally()

    @property
    def state(self) -> State:
        return self.circuit.state

    @property
    def failures(self) -> int:
        """In a row, or in the window: as the strategy counts."""
        return self._strategy.failures if self.circuit.state is CLOSED else self.circuit.failures

    def ask(self, now: float) -> Answer:
        if now < self.circuit.due:
            return Answer.WAIT
        return Answer.GO if self.circuit.state is CLOSED else Answer.PROBE

    def succeeded(self, epoch: tuple[int, int], seconds: float, at: Moment) -> Ended:
        """A call that began in `epoch` went well."""
        if epoch != self.circuit.epoch:
            return NO_NEWS
        self.successes += 1
        self.last_success = at.wall
        if self.circuit.state is HALF_OPEN:
            return self._become(transitions.succeeded(self.circuit, at)), Tally()
        tally = Tally(good=1, slow=seconds >= self._terms.slow_after)
        if self._strategy.failures:  # it ends a row that others are counting, too
            return self._count(tally, at), plus(self.untold(), tally)
        if self._strategy.weighs_good:
            self._untold = plus(self._untold, tally)
        return self._count(tally, at), Tally()

    def failed(self, epoch: tuple[int, int], seconds: float, at: Moment) -> Ended:
        """A call that began in `epoch` failed."""
        if epoch != self.circuit.epoch:
            return NO_NEWS
        self.last_failure = at.wall
        if self.circuit.state is HALF_OPEN:
            return self._become(transitions.failed(self.circuit, self._terms.recovery, at)), Tally()
        tally = Tally(bad=1, slow=seconds >= self._terms.slow_after)
        told = plus(self.untold(), tally)
        return self._count(tally, at), told

    def abandoned(self, epoch: tuple[int, int], rest: float, at: Moment) -> Circuit | None:
        """A call said nothing about the provider; perhaps that it wants to be left alone."""
        if epoch != self.circuit.epoch:
            return None
        rest = min(rest, self._terms.longest_rest)
        if self.circuit.state is HALF_OPEN:
            return self._become(transitions.handed_back(self.circuit, rest, at))
        if at.now + rest <= max(self.circuit.due, at.now):
            return None
        return self._become(transitions.rested(self.circuit, at.now + rest))

    def to_claim(self, at: Moment) -> Circuit:
        """What the circuit becomes for whoever wins the probe."""
        return transitions.claimed(self.circuit, self._terms.lease, at)

    def renew(self, epoch: tuple[int, int], now: float) -> Circuit | None:
        """The probe is still under way: nobody else should send one."""
        if epoch != self.circuit.epoch or self.circuit.state is not HALF_OPEN:
            return None
        return self._become(transitions.renewed(self.circuit, self._terms.lease, now))

    def reset(self, at: Moment) -> Circuit:
        self.last_failure = None
        return self._become(transitions.reset(self.circuit, at))

    def adopt(self, told: Circuit) -> bool:
        """Another process, or a store, says how the provider stands; returns whether that is news."""
        if not transitions.supersedes(told, self.circuit):
            return False
        if told.last_failure is not None:
            self.last_failure = max(told.last_failure, self.last_failure or 0.0)
        elif told.cause == "reset":
            self.last_failure = None
        self._become(told)
        return True

    def heard(self, version: int, tally: Tally, at: Moment) -> Circuit | None:
        """Another process says how its calls went while the circuit had this version."""
        if version != self.circuit.version or self.circuit.state is not CLOSED:
            return None
        if tally.bad:
            self.last_failure = at.wall
        return self._count(tally, at)

    def untold(self) -> Tally:
        """The good calls that others have not been told of; they count as told from now on."""
        tally, self._untold = self._untold, Tally()
        return tally

    def _count(self, tally: Tally, at: Moment) -> Circuit | None:
        self.why = self._strategy.count(tally, at.now)
        if not self.why:
            return None
        failures = self._strategy.failures
        return self._become(transitions.opened(self.circuit, failures, self._terms.recovery, at))

    def _become(self, circuit: Circuit) -> Circuit:
        if circuit.epoch != self.circuit.epoch:
            self._strategy = self._new_strategy()
            self._untold = Tally()
            if circuit.cause == "reset":
                self.successes = 0
        if circuit.cause != "failures":
            self.why = ""
        self.circuit = circuit
        return circuit
