"""Heads of messages that were read before: the same bytes mean the same, so they are not read again. Pure.

A program's requests, and its answers, have heads that differ in little but the length of what follows, or the
second of the day. Reading one strictly, header by header, costs more than all else a router does with it.
Only whole heads that were read without complaint are kept, by every byte of them.
"""

from typing import Generic, TypeVar

T = TypeVar("T")

LONGEST = 4096  # bytes of a head that is kept
MOST = 1024  # heads of a generation


class Familiar(Generic[T]):
    """What heads mean. There are two generations; the older one is forgotten when the younger one is full."""

    __slots__ = ("_older", "_younger")

    def __init__(self) -> None:
        self._younger: dict[bytes, T] = {}
        self._older: dict[bytes, T] = {}

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def get(self, head: bytes) -> T | None:
        """What a head means, if it is known."""
        found = self._younger.get(head)
        if found is None:
            found = self._older.get(head)
            if found is not None:
                self.keep(head, found)
        return found

    def keep(self, head: bytes, meaning: T) -> None:
        """Remember what a head means, unless it is too long."""
        if len(head) > LONGEST:
            return
        if len(self._younger) >= MOST:
            self._older, self._younger = self._younger, {}
        self._younger[head] = meaning
