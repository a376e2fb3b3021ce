"""How an entry looks from outside, in either dialect. Decides only."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from system.leases import Lease
from system.registry.entries import RUNNING, Entry


def stamp(wall: float) -> str:
    """RFC 3339, to the millisecond: who registers twice within a second is seen to have done so."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")


def is_healthy(entry: Entry, lease: Lease, now: float) -> bool:
    """Running, not draining, and its holder has kept its promise."""
    return entry.shown_status == RUNNING and lease.fresh(now)


def as_service(entry: Entry, lease: Lease, now: float, wall: float) -> dict[str, Any]:
    """The `/services` form. Keys are sorted when it is written."""
    heard = wall if lease.terms is None else wall - (now - lease.renewed)
    view = {
        "name": entry.id,
        "host": entry.host,
        "port": entry.port,
        "hostname": entry.hostname,
        "url": entry.url,
        "status": entry.shown_status,
        "timestamp": entry.timestamp,
        "last_heartbeat": round(heard, 3),
        "health_status": entry.health,
        "is_healthy": is_healthy(entry, lease, now),
        "metadata": orjson.Fragment(entry.metadata_json),
        "weight": entry.weight,
        "lease": _lease(entry, lease, now),
    }
    optional = {"ttl": entry.ttl, "warnings": entry.warnings, "suspect": entry.suspect}
    return view | {key: value for key, value in optional.items() if value}


def _lease(entry: Entry, lease: Lease, now: float) -> dict[str, Any]:
    held_by = "heartbeat" if entry.kind == "service" else "connection"
    if lease.terms is None:
        return {"held_by": held_by}
    left = lease.renewed + lease.terms.removed - now
    return {"held_by": held_by, "expires_in": round(max(left, 0.0), 3)}


def as_replica(entry: Entry) -> dict[str, Any]:
    """The `/registry` form."""
    return {
        "replica_id": entry.id,
        "endpoint": entry.endpoint,
        "capabilities": orjson.Fragment(entry.capabilities_json),
    }


def as_replica_with_state(entry: Entry, lease: Lease, now: float) -> dict[str, Any]:
    """The `/replicas` form."""
    return {
        **as_replica(entry),
        "status": entry.shown_status,
        "is_healthy": is_healthy(entry, lease, now),
        "draining": entry.draining,
        "suspect": entry.suspect,
        "weight": entry.weight,
    }


def counted(words: Iterable[str]) -> Mapping[str, int]:
    """How often each word occurs."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts
