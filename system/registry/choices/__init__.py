"""Policies that choose one of several matches: one file each, named in this table."""

from collections.abc import Callable
from typing import Protocol

from system.registry.choices.least_recent import LeastRecent
from system.registry.choices.random import Random
from system.registry.choices.round_robin import RoundRobin
from system.registry.choices.weighted import Weighted
from system.registry.member import Member


class Choice(Protocol):
    """An order over the members of one pool. `random` gives numbers in [0, 1)."""

    def add(self, member: Member) -> None:
        """The member has come into the pool; it was not in."""

    def discard(self, member: Member) -> None:
        """The member has left the pool."""

    def pick(self, random: Callable[[], float]) -> Member:
        """One member of the pool, which is not empty."""


CHOICES: dict[str, Callable[[], Choice]] = {
    "random": Random,
    "round-robin": RoundRobin,
    "least-recent": LeastRecent,
    "weighted": Weighted,
}
