"""Calls of the last seconds, counted in slices of time."""

from system.gateway.strategies.base import Tally, plus

SLICES = 10


class Window:
    """Forgets what is older than its length, to a tenth of it."""

    def __init__(self, length: float) -> None:
        self._slice = length / SLICES
        self._counts: dict[int, Tally] = {}

    def add(self, tally: Tally, now: float) -> Tally:
        """Take calls in; returns all that the window holds."""
        number = int(now // self._slice)
        self._counts = {at: held for at, held in self._counts.items() if at > number - SLICES}
        self._counts[number] = plus(self._counts.get(number, Tally()), tally)
        total = Tally()
        for held in self._counts.values():
            total = plus(total, held)
        return total
