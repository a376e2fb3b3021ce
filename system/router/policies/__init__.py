"""Policies: which of a model's backends gets a request. One file each; only this table knows their names.

A policy is made once per model and keeps its own state. `pick` is given at least one backend, all usable, in
an order that is stable while membership is. Randomness comes in; there is no clock and no I/O.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.round_robin import RoundRobin


class Policy(Protocol):
    """Chooses a backend for a request."""

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend: ...


POLICIES: dict[str, Callable[[Random], Policy]] = {
    "round-robin": RoundRobin,
}
