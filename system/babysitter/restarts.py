"""When a backend that ended is started again: decisions only, time comes in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartRules:
    """How patient to be with a backend that keeps ending."""

    delay: float
    most: int
    longest_delay: float = 30.0
    stable_after: float = 10.0


class Restarts:
    """Counts a backend's ends. One that ran for `stable_after` seconds starts with a clean slate."""

    def __init__(self, rules: RestartRules) -> None:
        self._rules = rules
        self._started = 0.0
        self.total = 0
        self.in_a_row = 0

    def started(self, now: float) -> None:
        self._started = now

    def ended(self, now: float) -> float | None:
        """Seconds to wait before the next start, doubled each time in a row; None: give up."""
        rules = self._rules
        if now - self._started >= rules.stable_after:
            self.in_a_row = 0
        if self.in_a_row >= rules.most:
            return None
        self.in_a_row += 1
        self.total += 1
        doublings = min(self.in_a_row - 1, 16)
        return float(min(rules.delay * 2**doublings, max(rules.delay, rules.longest_delay)))
