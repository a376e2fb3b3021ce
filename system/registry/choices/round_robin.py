"""One after the other, in the order in which they came; a newcomer waits for its turn."""

from collections import OrderedDict
from collections.abc import Callable

from system.registry.member import Member


class RoundRobin:
    """A queue: whoever is picked goes to its end."""

    def __init__(self) -> None:
        self._queue: OrderedDict[str, Member] = OrderedDict()

    def add(self, member: Member) -> None:
        self._queue[member.id] = member

    def discard(self, member: Member) -> None:
        del self._queue[member.id]

    def pick(self, random: Callable[[], float]) -> Member:
        member = next(iter(self._queue.values()))
        self._queue.move_to_end(member.id)
        return member
