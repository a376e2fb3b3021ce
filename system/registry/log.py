"""The registry's log lines, which scripts look for."""

import logging

import orjson

from system.registry.entries import Entry
from system.registry.table import Change, Reason

log = logging.getLogger("registry")

LONGEST = 2_000

# Registrations are logged as they come in, also those that change nothing.
_LINES: dict[Reason, str] = {
    "updated": "Updated service: %s",
    "suspected": "Silent, and so is most of what it offers; served as suspect: %s",
    "overdue": "No heartbeat, routed to no more: %s",
    "recovered": "Heartbeat again: %s",
    "draining": "Draining service: %s",
    "drained": "No longer draining service: %s",
    "unregistered": "Unregistered service: %s",
    "disconnected": "[API Server] Connection lost, unregistered: %s",
    "lost": "[API Server] Connection lost, peer vanished, unregistered: %s",
    "abandoned": "Its registry ended, unregistered: %s",
    "expired": "Removed stale service: %s",
}


def log_change(change: Change) -> None:
    line = _LINES.get(change.reason)
    if line is not None:
        log.info(line, change.id)


def log_registration(entry: Entry) -> None:
    if entry.kind == "service":
        log.info("Registered service: %s at %s", entry.id, entry.url)
    else:
        log.info("[API Server] Registered: %s -> %s", entry.id, entry.endpoint)
        log.info("[API Server]   Capabilities: %s", _shortened(str(orjson.loads(entry.capabilities_json))))
    for warning in entry.warnings:
        log.warning("%s: %s", entry.id, warning)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
