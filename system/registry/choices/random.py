"""Any of them, each as likely as the other."""

from collections.abc import Callable

from system.registry.member import Member


class Random:
    """Members in an array without gaps, and where each of them stands."""

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._place: dict[str, int] = {}

    def add(self, member: Member) -> None:
        self._place[member.id] = len(self._members)
        self._members.append(member)

    def discard(self, member: Member) -> None:
        place = self._place.pop(member.id)
        last = self._members.pop()
        if last.id != member.id:
            self._members[place] = last
            self._place[last.id] = place

    def pick(self, random: Callable[[], float]) -> Member:
        return self._members[int(random() * len(self._members))]
