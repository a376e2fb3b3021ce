"""When a backend's silence is worth a look. Decides only; the time comes in.

A frozen machine refuses nothing: its kernel accepts requests, and nobody answers them. How long an answer may
take is no measure, for that is anything from milliseconds to minutes. But whoever computes for minutes still
answers a probe at once. So whoever owes answers and has said nothing at all for a moment is asked.
"""

from typing import Protocol


class Debtor(Protocol):
    """What is known of a backend."""

    outstanding: int
    heard_at: float
    looked_at: float
    patience: float


class Suspicion:
    """Looks a moment into a silence, then after twice that time each, for as long as the silence lasts."""

    def __init__(self, after: float) -> None:
        self._after = after

    def is_due(self, backend: Debtor, now: float) -> bool:
        """Whether to ask the backend for a sign of life."""
        if not self._after or not backend.outstanding:
            return False
        if backend.heard_at != backend.looked_at:
            backend.patience = self._after  # it has said something since the last look
        return now - backend.heard_at >= backend.patience

    @staticmethod
    def allay(backend: Debtor, now: float) -> None:
        """It gave a sign of life; it may still be long in answering."""
        backend.heard_at = backend.looked_at = now
        backend.patience *= 2
