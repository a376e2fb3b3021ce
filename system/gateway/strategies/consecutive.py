"""So many failures in a row, of whichever process, open the circuit. A success, and counting starts anew."""

from system.gateway.strategies.base import Options, Tally


class Consecutive:
    """The default."""

    weighs_good = False

    def __init__(self, options: Options) -> None:
        self._threshold = options.threshold
        self.failures = 0

    def count(self, tally: Tally, now: float) -> str:
        self.failures = tally.bad + (0 if tally.good else self.failures)
        return f"{self.failures} failures in a row" if self.failures >= self._threshold else ""
