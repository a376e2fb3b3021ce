"""The table: entries, their leases, the index over them, and word of every change. Decides only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from system.leases import Due, Lease, Leases, Terms
from system.registry.entries import Entry, Health
from system.registry.matching import Index
from system.registry.member import Member

Reason = Literal[
    "registered",
    "updated",
    "probed",
    "overdue",
    "recovered",
    "draining",
    "drained",
    "unregistered",
    "disconnected",
    "lost",
    "expired",
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

    def __init__(self, new_id: Callable[[], str], on_change: Callable[[Change], None]) -> None:
        self.entries: dict[str, Entry] = {}
        self.leases = Leases(new_id)
        self.index = Index()
        self._on_change = on_change

    def register(self, entry: Entry, terms: Terms | None, now: float) -> Lease:
        """A new registration, or the same one again; either way its caller now owns the id."""
        known = self.entries.get(entry.id)
        lease = self.leases.grant(entry.id, terms, now)
        self._store(entry)
        if known is None or replace(known, timestamp=entry.timestamp) != entry:
            self._tell("registered", lease, entry, known)
        return lease

    def lease_id(self, entry_id: str) -> str | None:
        """Who owns the id now, if anybody."""
        return self.leases.held(entry_id).id if entry_id in self.entries else None

    def update(
        self, entry_id: str, changes: dict[str, Any], terms: Terms | None, now: float, lease_id: str | None
    ) -> Entry:
        """Replace some of an entry's fields; counts as a sign of life. LeaseError where it cannot be."""
        self.leases.held(entry_id, lease_id)
        if terms is not None:
            self.leases.change_terms(entry_id, terms, now)
        self.leases.renew(entry_id, now)
        return self._change(entry_id, "updated", changes)

    def heartbeat(self, entry_id: str, now: float, lease_id: str | None, status: str | None = None) -> None:
        """A sign of life, perhaps with a new status. LeaseError where it cannot be."""
        back = self.leases.renew(entry_id, now, lease_id)
        entry = self.entries[entry_id]
        if status is not None and status != entry.status:
            self._change(entry_id, "updated", {"status": status})
        elif back:
            self._change(entry_id, "recovered", {})

    def remove(self, entry_id: str, reason: Reason, lease_id: str | None = None) -> Entry:
        """Its owner, or somebody who need not be, takes the entry out. LeaseError where it cannot be."""
        return self._forget(self.leases.release(entry_id, lease_id), reason)

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
            self._fall_due(due)

    def _change(self, entry_id: str, reason: Reason, changes: dict[str, Any]) -> Entry:
        known = self.entries[entry_id]
        entry = replace(known, **changes)
        self._store(entry)
        if changes != {} and entry == known:
            return entry
        self._tell(reason, self.leases.held(entry_id), entry, known)
        return entry

    def _fall_due(self, due: Due) -> None:
        if due.removed:
            self._forget(due.lease, "expired")
        else:
            self._change(due.lease.key, "overdue", {})

    def _forget(self, lease: Lease, reason: Reason) -> Entry:
        entry = self.entries.pop(lease.key)
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
    answer = orjson.dumps({"endpoint": entry.endpoint, "replica_id": entry.id})
    return Member(entry.id, entry.weight, answer)
