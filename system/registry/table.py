"""The table: entries, their leases, the index over them, and word of every change. Decides only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from system.leases import Due, Lease, Leases, Terms
from system.registry.compact import compact
from system.registry.entries import Entry, Health
from system.registry.matching import Index
from system.registry.member import Member
from system.registry.silence import Fallen, Silence

Reason = Literal[
    "registered",
    "updated",
    "probed",
    "overdue",
    "suspected",
    "recovered",
    "draining",
    "drained",
    "unregistered",
    "disconnected",
    "lost",
    "expired",
    "abandoned",
]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that others may want to know. `entry` is None once it is gone."""

    id: str
    reason: Reason
    lease_id: str
    entry: Entry | None
    was: Entry | None


class Table:
    """One table for both dialects. Reads that must be exact call `advance` with the time first."""

    def __init__(
        self,
        new_id: Callable[[], str],
        on_change: Callable[[Change], None],
        on_replaced: Callable[[str, str], None],
        silence: Silence,
    ) -> None:
        """`on_replaced` gets the id of a lease that has lost its entry to a newer one, and the entry's."""
        self.entries: dict[str, Entry] = {}
        self.silence = silence
        self._held: set[str] = set()  # whose terms are those of a suspect
        self.leases = Leases(new_id)
        self.index = Index()
        self._on_change = on_change
        self._on_replaced = on_replaced

    def register(self, entry: Entry, now: float) -> Lease:
        """A new registration, or the same one again; either way its caller now owns the id."""
        known = self.entries.get(entry.id)
        if (before := self.leases.owner(entry.id)) is not None:
            self._on_replaced(before, entry.id)
        lease = self.leases.grant(entry.id, entry.terms, now)
        self._clear(entry.id)
        self._store(entry)
        self._tell("registered", lease, entry, known)  # also when all is as it was: its owner is another one
        return lease

    def adopt(self, entry: Entry, terms: Terms | None, now: float, lease_id: str) -> None:
        """What another process knows of an entry. A lease that is known already goes on as it is."""
        known = self.entries.get(entry.id)
        anew = self.leases.owner(entry.id) != lease_id
        if anew:
            if (before := self.leases.owner(entry.id)) is not None:
                self._on_replaced(before, entry.id)
            self.leases.grant(entry.id, terms, now, lease_id)
            self._clear(entry.id)
        elif terms is None:
            self.leases.change_terms(entry.id, None, now)
        self._store(entry)
        if anew or known != entry:
            self._tell("registered" if anew else "updated", self.leases.held(entry.id), entry, known)

    def update(
        self, entry_id: str, changes: dict[str, Any], terms: Terms | None, now: float, lease_id: str | None
    ) -> Entry:
        """Replace some of an entry's fields; counts as a sign of life. LeaseError where it cannot be."""
        self.leases.held(entry_id, lease_id)
        self._renew(entry_id, now)
        if terms is not None:
            self.leases.change_terms(entry_id, terms, now)
        return self._change(entry_id, "updated", changes)

    def heartbeat(self, entry_id: str, now: float, lease_id: str | None, status: str | None = None) -> None:
        """A sign of life, perhaps with a new status. LeaseError where it cannot be."""
        self._renew(entry_id, now, lease_id)
        if status is not None and status != self.entries[entry_id].status:
            self._change(entry_id, "updated", {"status": status})

    def _renew(self, entry_id: str, now: float, lease_id: str | None = None) -> None:
        back = self.leases.renew(entry_id, now, lease_id)
        entry = self.entries[entry_id]
        if entry_id in self._held or entry.suspect:
            self.leases.change_terms(entry_id, self._promised(entry), now)
            self._clear(entry_id)
            back = True
        if back:
            self._change(entry_id, "recovered", {"suspect": False}, always=True)

    def remove(self, entry_id: str, reason: Reason, lease_id: str | None = None) -> Entry:
        """Its owner, or somebody who need not be, takes the entry out. LeaseError where it cannot be."""
        return self._forget(self.leases.release(entry_id, lease_id), reason)

    def lose(self, entry_id: str, lease_id: str, now: float) -> None:
        """Its connection died without a word. LeaseError where it had ended or been replaced before."""
        lease = self.leases.release(entry_id, lease_id)
        self._fall_silent(Due(lease, removed=True, first=True), "lost", now)

    def drain(self, entry_id: str, *, draining: bool) -> Entry:
        """Send nobody there any more, or do again; the entry itself stays. UnknownKey where there is none."""
        self.leases.held(entry_id)
        return self._change(entry_id, "draining" if draining else "drained", {"draining": draining})

    def note_health(self, entry_id: str, lease_id: str, health: Health) -> None:
        """What a probe of this very registration found. LeaseError where it has ended or been replaced."""
        self.leases.held(entry_id, lease_id)
        self._change(entry_id, "probed", {"health": health})

    def advance(self, now: float) -> None:
        """Let the leases that are due by now take effect."""
        for due in self.leases.due(now):
            self._fall_silent(due, "expired", now)

    def _change(
        self, entry_id: str, reason: Reason, changes: dict[str, Any], *, always: bool = False
    ) -> Entry:
        known = self.entries[entry_id]
        entry = replace(known, **changes)
        self._store(entry)
        if entry == known and not always:
            return entry
        self._tell(reason, self.leases.held(entry_id), entry, known)
        return entry

    def _fall_silent(self, due: Due, reason: Reason, now: float) -> None:
        entry = self.entries[due.lease.key]
        held = []
        if due.first and not entry.suspect and entry.id in self.index:
            held = self.silence.fell(entry, due.lease, now, self.index.count)
        for fallen in held:
            self._hold(fallen, now)
        if held:
            return
        if due.removed:
            self._forget(due.lease, reason)
        else:
            if entry.suspect:
                self.silence.back(entry.id)
            self._change(entry.id, "overdue", {"suspect": False}, always=True)

    def _hold(self, fallen: Fallen, now: float) -> None:
        """Serve a silent entry a while longer, unless its id belongs to somebody else by now."""
        entry_id = fallen.entry.id
        if self.leases.owner(entry_id) not in {None, fallen.lease.id}:
            self.silence.back(entry_id)
            return
        promised = self._promised(fallen.entry)
        rest = promised.removed - promised.unhealthy
        terms = Terms(unhealthy=self.silence.hold, removed=self.silence.hold + rest)
        lease = self.leases.grant(entry_id, terms, now, fallen.lease.id)
        self._held.add(entry_id)
        known = self.entries.get(entry_id)
        entry = replace(fallen.entry, suspect=True)
        self._store(entry)
        self._tell("suspected", lease, entry, known)

    def _promised(self, entry: Entry) -> Terms:
        """What a suspect has to keep to from now on; one whose connection is gone has to renew."""
        return entry.terms or Terms.ttl(self.silence.hold)

    def _clear(self, entry_id: str) -> None:
        """Not a suspect any more."""
        self._held.discard(entry_id)
        self.silence.back(entry_id)

    def _forget(self, lease: Lease, reason: Reason) -> Entry:
        entry = self.entries.pop(lease.key)
        if entry.suspect:
            self._clear(lease.key)
        self.index.drop(lease.key)
        self._tell(reason, lease, None, entry)
        return entry

    def _store(self, entry: Entry) -> None:
        """Keep the entry, at its old place if it had one, and route to it only if it may be routed to."""
        self.entries[entry.id] = entry
        if entry.routable(self.leases.held(entry.id)):
            self.index.put(_member(entry), entry.offers)
        else:
            self.index.drop(entry.id)

    def _tell(self, reason: Reason, lease: Lease, entry: Entry | None, was: Entry | None) -> None:
        self._on_change(Change(lease.key, reason, lease.id, entry, was))


def _member(entry: Entry) -> Member:
    answer = compact({"endpoint": entry.endpoint, "replica_id": entry.id})
    return Member(entry.id, entry.weight, answer)
