"""Whether a backend is alive, from what its probes showed: decisions only, time comes in."""

ENOUGH_DENIALS = 2


class Liveness:
    """Alive until it has been silent for `patience` seconds, or has said no twice in a row.

    A refused connection or an answer that says "unhealthy" is a denial; no answer at all is only silence:
    a busy backend may be slow to answer, and its lease outlasts that.
    """

    def __init__(self, patience: float, now: float) -> None:
        self._patience = patience
        self._answered = now
        self._denials = 0
        self.alive = True

    def answered(self, now: float) -> None:
        self._answered, self._denials, self.alive = now, 0, True

    def denied(self, now: float) -> None:
        self._denials += 1
        if self._denials >= ENOUGH_DENIALS:
            self.alive = False
        self.silent(now)

    def silent(self, now: float) -> None:
        if now - self._answered >= self._patience:
            self.alive = False

    def patience_left(self, now: float) -> float:
        """How long the next probe may wait for its answer before the verdict is due."""
        return max(0.25, self._answered + self._patience - now)
