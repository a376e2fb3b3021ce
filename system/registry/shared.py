"""One table in several processes: what this one tells the others, and what it makes of what they tell.

Decides only. Each entry has a keeper: the process that holds its connection or heard its last heartbeat. Only
the keeper lets it expire, so that nobody forgets an entry whose signs of life go elsewhere. When a keeper is
gone, its connections' entries go with it; its heartbeat entries have their whole time again, with everybody.

The order in which the store took things in decides. Until this process has read back what it wrote about an
entry itself, it does not listen to older words about it.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from system.leases import Lease, LeaseError
from system.registry.entries import Entry
from system.registry.records import read_record, record_of
from system.registry.table import Change, Reason, Table

REMEMBERED = 10_000  # leases that ended here
Kind = Literal["put", "offer", "keep", "delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one process says about an entry. Puts and offers have a record; an offer yields to what is there.

    A put that is no registration changes an entry that is there under the same lease, and is refused for any
    other. The keeper of a delete for silence is who is believed to keep it: refused if somebody else does.
    """

    kind: Kind
    id: str
    lease_id: str
    keeper: str
    record: bytes = b""
    reason: Reason = "updated"


class Shared:
    """The shared side of a table."""

    def __init__(self, table: Table, member: str, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to be sent."""
        self.member = member
        self.keepers: dict[str, str] = {}
        self._table = table
        self._wake = wake
        self._outbox: dict[str, list[Word]] = {}
        self._awaited: dict[str, int] = {}
        self._orphans: set[str] = set()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._listens = False

    @property
    def waiting(self) -> int:
        """How many entries there are about which something is still to be sent."""
        return len(self._outbox)

    # What happened here.

    def registered(self, entry: Entry, lease: Lease) -> None:
        self._keep(entry.id, self.member)
        self._say_entry("put", entry, lease.id, "registered")

    def heard(self, entry_id: str, now: float) -> None:
        """A sign of life came to this process; a connection stays with the process that holds it."""
        entry, keeper = self._table.entries[entry_id], self.keepers.get(entry_id, "")
        if keeper == self.member:
            return
        if entry.kind == "service":
            keeper = self.member
            self._keep(entry_id, keeper)
            self._table.leases.change_terms(entry_id, entry.terms, now)
        self._say(Word(kind="keep", id=entry_id, lease_id=self._owner(entry_id), keeper=keeper))

    def changed(self, change: Change) -> None:
        """A change of the table; those that others told of are no news to them."""
        keeper = self.keepers.get(change.id, self.member)
        if change.entry is None:
            self.keepers.pop(change.id, None)
            self._orphans.discard(change.id)
        else:
            self.keepers[change.id] = keeper
        if self._listens or change.reason == "registered":
            return
        if change.entry is not None:
            # What was out already, and is held after all, yields to who registered the id meanwhile.
            self._say_entry("put" if change.was else "offer", change.entry, change.lease_id)
        else:
            self._end(change.id, change.lease_id, keeper, change.reason)

    def gone(self, members: set[str], now: float) -> None:
        """These processes have ended: their connections have, too; their heartbeats may come to anybody."""
        for entry_id in [name for name, keeper in self.keepers.items() if keeper in members]:
            entry = self._table.entries[entry_id]
            if entry.kind == "replica":
                self._table.remove(entry_id, "abandoned", self._owner(entry_id))
            elif entry_id not in self._orphans:
                self._orphans.add(entry_id)
                self._table.leases.change_terms(entry_id, entry.terms, now)

    # What is to be sent.

    def take(self) -> list[Word]:
        """Everything that is to be sent now."""
        words = [word for waiting in self._outbox.values() for word in waiting]
        self._outbox.clear()
        return words

    def give_back(self, words: Iterable[Word]) -> None:
        """It could not be sent; what was said meanwhile comes after it, or takes its place."""
        for word in reversed(list(words)):
            later = self._outbox.setdefault(word.id, [])
            if not any(one.kind == "put" for one in later):
                later.insert(0, word)
            else:
                self._outbox[word.id] = [_as_new(one, word) for one in later]

    def _end(self, entry_id: str, lease_id: str, keeper: str, reason: Reason) -> None:
        """Tell of a lease's end; remember it for those who offer it again to a store that has lost all.

        Of the abandoned it is only believed that they ended: their keeper may come back and know better.
        """
        if reason != "abandoned":
            self._ended[lease_id] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        self._say(Word(kind="delete", id=entry_id, lease_id=lease_id, keeper=keeper, reason=reason))

    def _owner(self, entry_id: str) -> str:
        return self._table.leases.held(entry_id).id

    def _keep(self, entry_id: str, keeper: str) -> None:
        self.keepers[entry_id] = keeper
        self._orphans.discard(entry_id)

    def _say_entry(self, kind: Kind, entry: Entry, lease_id: str, reason: Reason = "updated") -> None:
        keeper = self.keepers.get(entry.id, self.member)
        said = {"id": entry.id, "lease_id": lease_id, "keeper": keeper}
        self._ended.pop(lease_id, None)  # held as a suspect
        self._say(Word(kind=kind, record=record_of(entry), reason=reason, **said))

    def _say(self, word: Word) -> None:
        """A put makes superfluous what was not yet sent about the entry."""
        before = self._outbox.get(word.id, [])
        kept = [] if word.kind == "put" else [one for one in before if one.kind != word.kind]
        if word.kind == "put":
            for unsent in before:
                word = _as_new(word, unsent)
        self._awaited[word.id] = self._awaited.get(word.id, 0) + 1 + len(kept) - len(before)
        self._outbox[word.id] = [*kept, word]
        self._wake()

    # What happened elsewhere.

    def listen(self, word: Word, sender: str, now: float) -> None:
        """A word that the store took in, in its order."""
        if sender == self.member:
            self._read_back(word.id)
        elif word.kind == "offer" and word.lease_id in self._ended:
            self._end(word.id, word.lease_id, word.keeper, "unregistered")
        elif word.id not in self._awaited:
            self._believe(word, now)

    def correct(self, refused: Word, known: Word | None, now: float) -> None:
        """The store refused a word of ours: this is what it has instead."""
        self._read_back(refused.id)
        if refused.id not in self._awaited:
            self._believe(known or _deletion(refused.id), now)

    def load(self, words: Iterable[Word], now: float, *, emptied: bool) -> Iterator[None]:
        """Bring the table in line with all that the store has, a little with every step of the iterator.

        What this process keeps itself is alive, whatever the store thinks. What others kept and the store
        does not have was taken out, unless the store has lost everything: then it is offered again, for
        its keeper to take up, or to deny.
        """
        self._awaited = {entry_id: len(waiting) for entry_id, waiting in self._outbox.items()}
        there = set()
        for word in words:
            there.add(word.id)
            mine = (
                self.keepers.get(word.id) == self.member
                and self._table.leases.owner(word.id) == word.lease_id
            )
            if word.id not in self._awaited and word.lease_id in self._ended and word.keeper == self.member:
                self._end(word.id, word.lease_id, word.keeper, "unregistered")  # a store that went back
            elif word.id not in self._awaited and not (mine and word.keeper == self.member):
                self._believe(word, now)
            yield
        for entry_id in [name for name in self._table.entries if name not in there]:
            if entry_id not in self._awaited and entry_id in self._table.entries:
                self._settle_missing(self._table.entries[entry_id], now, emptied=emptied)
            yield

    def _settle_missing(self, entry: Entry, now: float, *, emptied: bool) -> None:
        if self.keepers.get(entry.id) == self.member:
            self._say_entry("put", entry, self._owner(entry.id), "registered")
        elif not emptied:
            self._believe(_deletion(entry.id), now)
        else:
            self._say_entry("offer", entry, self._owner(entry.id))

    def _read_back(self, entry_id: str) -> None:
        left = self._awaited.pop(entry_id, 0) - 1
        if left > 0:
            self._awaited[entry_id] = left

    def _believe(self, word: Word, now: float) -> None:
        self._listens = True
        try:
            if word.kind == "delete":
                with contextlib.suppress(LeaseError):
                    self._table.remove(word.id, word.reason, word.lease_id or None)
            elif word.kind == "keep":
                self._hand_over(word, now)
            else:
                self._take_over(word, read_record(word.record), now)
        finally:
            self._listens = False

    def _take_over(self, word: Word, entry: Entry, now: float) -> None:
        here = word.keeper == self.member
        if here and entry.kind == "replica" and self._table.leases.owner(word.id) != word.lease_id:
            self._deny(word)
            return
        self._keep(word.id, word.keeper)
        self._ended.pop(word.lease_id, None)
        self._table.adopt(entry, entry.terms if here else None, now, word.lease_id)

    def _deny(self, word: Word) -> None:
        """A connection that is said to be held here, and is not: it has ended, or was replaced."""
        known = self._table.entries.get(word.id)
        if known is not None and self.keepers.get(word.id) == self.member:
            self._say_entry("put", known, self._owner(word.id), "registered")
        else:
            self._end(word.id, word.lease_id, word.keeper, "disconnected")

    def _hand_over(self, word: Word, now: float) -> None:
        if self._table.leases.owner(word.id) != word.lease_id:
            return
        self._keep(word.id, word.keeper)
        if word.keeper == self.member:
            self._table.heartbeat(word.id, now, word.lease_id)
        else:
            self._table.leases.change_terms(word.id, None, now)


def _as_new(put: Word, unsent: Word) -> Word:
    """A change of what was registered but not sent is the registration."""
    is_new = unsent.reason == "registered" and (put.kind, put.lease_id) == ("put", unsent.lease_id)
    return replace(put, reason="registered") if is_new else put


def _deletion(entry_id: str) -> Word:
    return Word(kind="delete", id=entry_id, lease_id="", keeper="", reason="unregistered")
