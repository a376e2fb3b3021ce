"""A bounded queue of what waits for a backend to have room, first come first served. Pure."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingRoom(Generic[T]):
    """Who waits, in order. Leaving early costs nothing."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[T, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, one: T, most: int) -> bool:
        """Whether there was room to wait."""
        if len(self._waiting) >= most:
            return False
        self._waiting[one] = None
        return True

    def leave(self, one: T) -> None:
        self._waiting.pop(one, None)

    def next(self) -> T | None:
        """Who has waited longest; it does not wait any more."""
        return self._waiting.popitem(last=False)[0] if self._waiting else None
