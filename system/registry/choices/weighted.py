"""Each as likely as its weight says; where all weights are zero, each as likely as the other."""

import itertools
from bisect import bisect_right
from collections.abc import Callable

from system.registry.member import Member


class Weighted:
    """Running totals of the weights, added up anew after a change and not before they are needed."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._order: list[Member] = []
        self._totals: list[float] = []

    def add(self, member: Member) -> None:
        self._members[member.id] = member
        self._order = []

    def discard(self, member: Member) -> None:
        del self._members[member.id]
        self._order = []

    def pick(self, random: Callable[[], float]) -> Member:
        if not self._order:
            self._order = list(self._members.values())
            self._totals = list(itertools.accumulate(member.weight for member in self._order))
        if not self._totals[-1] > 0:
            return self._order[int(random() * len(self._order))]
        return self._order[min(bisect_right(self._totals, random() * self._totals[-1]), len(self._order) - 1)]
