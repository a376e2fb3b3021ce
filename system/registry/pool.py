"""The entries that match one query, and the choices that have been made among them. Decides only."""

from collections.abc import Callable, Iterable, Iterator

from system.registry.choices import CHOICES, Choice
from system.registry.member import Member


class Pool:
    """Matching entries. Each policy that was asked for keeps its own order over them."""

    def __init__(self, members: Iterable[Member], picks: Iterator[int]) -> None:
        """`picks` counts the choices of all pools together."""
        self._picks = picks
        self._members = {member.id: member for member in members}
        self._choices: dict[str, Choice] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._members

    def members(self) -> Iterable[Member]:
        return self._members.values()

    def add(self, member: Member) -> None:
        """A match more; it was not in."""
        self._members[member.id] = member
        for choice in self._choices.values():
            choice.add(member)

    def discard(self, entry_id: str) -> bool:
        """A match less; returns whether it was in."""
        member = self._members.pop(entry_id, None)
        if member is None:
            return False
        for choice in self._choices.values():
            choice.discard(member)
        return True

    def pick(self, policy: str, random: Callable[[], float]) -> Member | None:
        """One of the entries, by the named policy."""
        if not self._members:
            return None
        choice = self._choices.get(policy)
        if choice is None:
            choice = self._choices[policy] = CHOICES[policy]()
            for member in self._members.values():
                choice.add(member)
        member = choice.pick(random)
        member.used = next(self._picks)
        return member
