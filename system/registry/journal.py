"""The latest changes of the table: a watcher who was away can go on where it stopped. Decides only."""

from collections import deque
from itertools import islice

MOST_CHANGES = 10_000
MOST_BYTES = 16 * 1024 * 1024


class Journal:
    """Changes by revision, without gaps, as many as are kept. `epoch` tells this table from earlier ones."""

    def __init__(self, epoch: str, most: int = MOST_CHANGES, most_bytes: int = MOST_BYTES) -> None:
        self.epoch = epoch
        self.revision = 0
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._most = most
        self._most_bytes = most_bytes

    def append(self, event: str, data: bytes) -> None:
        """The next change; its revision is one more than the last one's."""
        self.revision += 1
        self._kept.append(framed(event, data, self.position()))
        self._bytes += len(self._kept[-1])
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= len(self._kept.popleft())

    def position(self) -> str:
        """The id of the latest event: what a watcher shows to go on from here."""
        return f"{self.epoch}.{self.revision}"

    def revision_of(self, position: str) -> int | None:
        """The revision that an id names, if it is this table's and everything after it is still known."""
        epoch, _, number = position.rpartition(".")
        if epoch != self.epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
            return None
        revision = int(number)
        return revision if self.revision - len(self._kept) <= revision <= self.revision else None

    def after(self, revision: int, most: int) -> list[bytes] | None:
        """The changes after a revision, at most so many; None when they are no longer all known."""
        missed = self.revision - revision
        if missed > len(self._kept):
            return None
        first = len(self._kept) - missed
        return list(islice(self._kept, first, first + most))


def framed(event: str, data: bytes, position: str) -> bytes:
    """A server-sent event."""
    return b"event: %s\nid: %s\ndata: %s\n\n" % (event.encode(), position.encode(), data)
