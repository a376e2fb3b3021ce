"""What the handlers share: the table in time, who registered how much, and what the operator has set."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from system.leases import Lease, Terms
from system.registry.entries import Entry
from system.registry.http import Refused
from system.registry.live import Live
from system.registry.peers import Peers
from system.registry.streams import Streams
from system.registry.table import Change, Reason

log = logging.getLogger("registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one caller may ask of a registry."""

    body: int
    entries_per_caller: int


class Context:
    """One registry."""

    def __init__(self, limits: Limits, peers: Peers, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.peers = peers
        self.live = Live(self._changed, clock)
        self.streams = Streams()
        self.draining = False
        self.changes: dict[Reason, int] = {}
        self._callers: dict[str, str] = {}
        self._held: dict[str, int] = {}

    def admit(self, entry: Entry, terms: Terms | None, caller: str, now: float) -> Lease:
        """Register an entry for a caller, unless it already has as many as it may have."""
        is_new = entry.id not in self.live.table.entries
        if is_new and self._held.get(caller, 0) >= self.limits.entries_per_caller:
            most = self.limits.entries_per_caller
            reason = f"{caller} has registered {most} entries, as many as one caller may (--max-entries)"
            raise Refused(429, reason, retry_after="60")
        self._count(entry.id, caller)
        before = self.live.table.lease_id(entry.id)
        lease = self.live.table.register(entry, terms, now)
        if before is not None:
            self.streams.tell(before, "replaced", replica_id=entry.id)
        self.live.armed()
        _log_registration(entry)
        return lease

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
        if change.entry is None:
            self._count(change.id, None)
        if change.reason == "expired":
            self.streams.tell(change.lease_id, "expired", last=True, replica_id=change.id)
        self.changes[change.reason] = self.changes.get(change.reason, 0) + 1
        line = _LINES.get(change.reason)
        if line is not None:
            log.info(line, change.id)


# Registrations are logged as they come in, also those that change nothing.
_LINES: dict[Reason, str] = {
    "updated": "Updated service: %s",
    "overdue": "No heartbeat, routed to no more: %s",
    "recovered": "Heartbeat again: %s",
    "draining": "Draining service: %s",
    "drained": "No longer draining service: %s",
    "unregistered": "Unregistered service: %s",
    "disconnected": "[API Server] Connection lost, unregistered: %s",
    "lost": "[API Server] Connection lost, peer vanished, unregistered: %s",
    "expired": "Removed stale service: %s",
}


def _log_registration(entry: Entry) -> None:
    if entry.kind == "service":
        log.info("Registered service: %s at %s", entry.id, entry.url)
    else:
        log.info("[API Server] Registered: %s -> %s", entry.id, entry.endpoint)
        log.info("[API Server]   Capabilities: %s", list(entry.capabilities))
    for warning in entry.warnings:
        log.warning("%s: %s", entry.id, warning)
