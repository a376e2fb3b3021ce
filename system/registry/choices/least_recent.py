"""The one that was chosen longest ago, by whichever query; a newcomer comes first."""

import heapq
import itertools
from collections.abc import Callable

from system.registry.member import Member


class LeastRecent:
    """A heap by last use. Uses through other queries are noticed when a member comes to the top."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Member]] = []
        self._in: dict[str, Member] = {}
        self._serial = itertools.count()

    def add(self, member: Member) -> None:
        self._in[member.id] = member
        if len(self._heap) > 2 * len(self._in) + 64:
            self._heap = [(known.used, next(self._serial), known) for known in self._in.values()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (member.used, next(self._serial), member))

    def discard(self, member: Member) -> None:
        del self._in[member.id]

    def pick(self, random: Callable[[], float]) -> Member:
        while True:
            used, serial, member = self._heap[0]
            if self._in.get(member.id) is not member:
                heapq.heappop(self._heap)
            elif member.used > used:
                heapq.heapreplace(self._heap, (member.used, serial, member))
            else:
                return member
