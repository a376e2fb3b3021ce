"""What the handlers share: the table in time, who registered how much, and what the operator has set."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from system.leases import Lease
from system.registry.access import Access
from system.registry.entries import Entry
from system.registry.http import Refused
from system.registry.journal import Journal
from system.registry.live import Live
from system.registry.log import log_change, log_registration
from system.registry.peers import Peers
from system.registry.shared import Shared
from system.registry.silence import Silence
from system.registry.streams import Streams
from system.registry.table import Change, Reason, Table
from system.registry.views import as_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one caller may ask of a registry."""

    body: int
    entries_per_caller: int
    hold: float
    """Seconds for which suspects of a mass expiry are served."""
    kept: int
    """Bytes of metadata and capabilities of all entries together."""


class Context:
    """One registry."""

    def __init__(
        self, limits: Limits, access: Access, peers: Peers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.access = access
        self.peers = peers
        table = Table(lambda: secrets.token_hex(8), self._changed, self._replaced, Silence(limits.hold))
        self.live = Live(table, clock)
        self.store_connected: bool | None = None
        """Whether the store is there; None where there is none."""
        self._shared: Shared | None = None
        self.streams = Streams()
        self.journal = Journal(secrets.token_hex(4))
        self.watchers: set[asyncio.Event] = set()
        self.cut_off = 0
        self.matched = self.unmatched = 0
        self.kept = 0
        self.draining = False
        self.changes: dict[Reason, int] = {}
        self._callers: dict[str, str] = {}
        self._held: dict[str, int] = {}

    def admit(self, entry: Entry, caller: str, now: float) -> Lease:
        """Register an entry for a caller, unless it already has as many as it may have."""
        self.make_room(entry.size, entry.id)
        is_new = entry.id not in self.live.table.entries
        if is_new and self._held.get(caller, 0) >= self.limits.entries_per_caller:
            most = self.limits.entries_per_caller
            reason = f"{caller} has registered {most} entries, as many as one caller may (--max-entries)"
            raise Refused(429, reason, retry_after="60")
        self._count(entry.id, caller)
        lease = self.live.table.register(entry, now)
        if self._shared is not None:
            self._shared.registered(entry, lease)
        self.live.armed()
        log_registration(entry)
        return lease

    def share(self, shared: "Shared") -> None:
        """Other processes are told what happens here."""
        self._shared = shared
        self.store_connected = False

    @property
    def unsaid(self) -> int:
        """About how many entries others have not been told the latest."""
        return 0 if self._shared is None else self._shared.waiting

    def heard(self, entry_id: str) -> None:
        """A sign of life came."""
        if self._shared is not None:
            self._shared.heard(entry_id, self.live.clock())
        self.live.armed()

    def _replaced(self, lease_id: str, entry_id: str) -> None:
        self.streams.tell(lease_id, "replaced", replica_id=entry_id)

    def make_room(self, size: int, entry_id: str) -> None:
        """Refused where an entry of this size would be too much for this registry."""
        known = self.live.table.entries.get(entry_id)
        if self.kept - (known.size if known else 0) + size > self.limits.kept:
            raise Refused(
                429, f"the registry keeps {self.kept} bytes and may keep {self.limits.kept} (--max-kept)"
            )

    async def drain(self) -> None:
        """Tell everybody who is connected to go elsewhere."""
        self.draining = True
        self._wake_watchers()
        await self.streams.end("draining")

    def _wake_watchers(self) -> None:
        for watcher in self.watchers:
            watcher.set()

    def close(self) -> None:
        self.live.close()
        self.streams.close()
        self.peers.close()

    def _count(self, entry_id: str, caller: str | None) -> None:
        """The entry now counts for this caller, or for nobody any more."""
        before = self._callers.pop(entry_id, None)
        if before is not None:
            self._held[before] -= 1
            if not self._held[before]:
                del self._held[before]
        if caller is not None:
            self._callers[entry_id] = caller
            self._held[caller] = self._held.get(caller, 0) + 1

    def _changed(self, change: Change) -> None:
        self.kept += (change.entry.size if change.entry else 0) - (change.was.size if change.was else 0)
        if change.entry is None:
            self._count(change.id, None)
        if self._shared is not None:
            self._shared.changed(change)
        if change.reason == "unregistered":
            self.streams.tell(change.lease_id, "unregistered", replica_id=change.id)
        if change.reason == "expired":
            self.streams.tell(change.lease_id, "expired", last=True, replica_id=change.id)
        self._note(change)
        self.changes[change.reason] = self.changes.get(change.reason, 0) + 1
        log_change(change)

    def _note(self, change: Change) -> None:
        """Into the journal, and to whoever watches it."""
        facts = {"revision": self.journal.revision + 1, "name": change.id, "reason": change.reason}
        if change.entry is not None:
            lease = self.live.table.leases.held(change.id)
            facts["service"] = as_service(change.entry, lease, self.live.clock(), time.time())
        data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
        self.journal.append("delete" if change.entry is None else "put", data)
        self._wake_watchers()
