"""The table in time: one timer, set to the instant at which the next lease falls due."""

import asyncio
import random
from collections.abc import Callable

from system.registry.table import Table

LATE = 0.5  # seconds a timer may be late before it means that this process stood still


class Live:
    """A table, the clock it is read by, and its timer. Close it to stop the timer."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self.table = table
        self.random = random.Random().random
        self.started = clock()
        self.clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def now(self) -> float:
        """The time, after everything that is due by then has taken effect."""
        now = self.clock()
        if now >= self._armed_for:
            self._sweep(now)
        return now

    def armed(self) -> None:
        """To be called after a lease was granted or changed: the timer is moved if it would be too late."""
        due = self.table.leases.next_due()
        if due is None or due >= self._armed_for:
            return
        self._disarm()
        self._armed_for = due
        self._timer = asyncio.get_running_loop().call_later(max(due - self.clock(), 0), self._fire)

    def close(self) -> None:
        self._disarm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for = None, float("inf")

    def _fire(self) -> None:
        self._sweep(self.clock())

    def _sweep(self, now: float) -> None:
        late = now - self._armed_for
        self._disarm()
        if late > LATE:
            # Heartbeats that came meanwhile wait in the kernel's buffers: hear them before judging.
            self.table.leases.excuse(late, now)
        self.table.advance(now)
        self.armed()
