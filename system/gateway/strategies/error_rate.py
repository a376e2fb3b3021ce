"""Too large a share of the calls in the window has failed."""

from system.gateway.strategies.base import Options, Tally
from system.gateway.strategies.window import Window


class ErrorRate:
    """For providers that fail now and then: a failure among many successes changes nothing."""

    weighs_good = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._window = Window(options.window)
        self.failures = 0

    def count(self, tally: Tally, now: float) -> str:
        held = self._window.add(tally, now)
        self.failures = held.bad
        volume = held.good + held.bad
        if volume < self._options.min_volume or held.bad < self._options.failure_share * volume:
            return ""
        return f"{held.bad} of {volume} calls failed within {self._options.window:g} s"
