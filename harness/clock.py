"""Time as a parameter: every part that waits or stamps is handed a Clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of now."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never steps back."""

    def wall(self) -> float:
        """Seconds since the epoch; may be stepped, so only ever shown, never subtracted."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
