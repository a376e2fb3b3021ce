"""Strategies: what opens a circuit. One file each; only this table knows their names.

A strategy is told how calls ended, by this process and by all others, and keeps its own state, bounded. The
time comes in; no clock, no I/O.
"""

from collections.abc import Callable

from system.gateway.strategies.base import Options, Strategy, Tally
from system.gateway.strategies.consecutive import Consecutive
from system.gateway.strategies.error_rate import ErrorRate
from system.gateway.strategies.slow_calls import SlowCalls

STRATEGIES: dict[str, Callable[[Options], Strategy]] = {
    "consecutive": Consecutive,
    "error-rate": ErrorRate,
    "slow-calls": SlowCalls,
}

__all__ = ["STRATEGIES", "Options", "Strategy", "Tally"]
