"""Entries as other processes read them. Decides only."""

from typing import Any

import orjson

from system.registry.compact import compact
from system.registry.entries import Entry
from system.registry.matching import atoms_of

_PLAIN = (
    *("id", "kind", "endpoint", "host", "port", "hostname", "url", "status", "timestamp"),
    *("weight", "ttl", "health", "draining", "suspect", "warnings"),
)


def record_of(entry: Entry) -> bytes:
    """Everything about an entry that cannot be found out from the rest."""
    fields: dict[str, Any] = {name: getattr(entry, name) for name in _PLAIN}
    fields["metadata"] = orjson.Fragment(entry.metadata_json)
    fields["capabilities"] = orjson.Fragment(entry.capabilities_json)
    return orjson.dumps(fields)


def read_record(data: bytes) -> Entry:
    """What `record_of` wrote."""
    fields = orjson.loads(data)
    metadata, capabilities = fields.pop("metadata"), fields.pop("capabilities")
    return Entry(
        **{**fields, "warnings": tuple(fields["warnings"])},
        offers=tuple(map(atoms_of, capabilities)),
        capabilities_json=compact(capabilities),
        metadata_json=compact(metadata),
    )
