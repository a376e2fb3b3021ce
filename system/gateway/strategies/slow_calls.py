"""Too large a share of the calls in the window was slow, or too many failed in a row."""

from system.gateway.strategies.base import Options, Tally
from system.gateway.strategies.consecutive import Consecutive
from system.gateway.strategies.window import Window


class SlowCalls:
    """For providers that answer late rather than wrongly."""

    weighs_good = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._window = Window(options.window)
        self._failing = Consecutive(options)

    @property
    def failures(self) -> int:
        return self._failing.failures

    def count(self, tally: Tally, now: float) -> str:
        held = self._window.add(tally, now)
        failing = self._failing.count(tally, now)
        volume = held.good + held.bad
        if failing or volume < self._options.min_volume or held.slow < self._options.slow_share * volume:
            return failing
        return f"{held.slow} of {volume} calls took {self._options.slow_after:g} s or longer"
