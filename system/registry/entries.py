"""Entries: what the registry knows of one registration, in the words of both dialects. Decides only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from system.leases import Lease, Terms
from system.registry.bodies import ReplicaBody, ServiceBody, ServiceChange
from system.registry.compact import compact
from system.registry.matching import Capability, atoms_of

RUNNING = "running"
CONTRACT_TERMS = Terms(unhealthy=120.0, removed=300.0)
"""What a service promises that asks for nothing."""
MOST_CAPABILITIES = 1_000
MOST_VALUES = 20_000

Health = Literal["unknown", "healthy", "unhealthy"]


class TooMuch(ValueError):
    """More capabilities, or deeper ones, than a registry can be asked to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registration. A service's models become capabilities; a replica's capabilities become metadata."""

    id: str
    kind: Literal["service", "replica"]
    endpoint: str
    host: str
    port: int
    hostname: str
    url: str
    status: str
    timestamp: str
    offers: tuple[Capability, ...]
    capabilities_json: bytes
    metadata_json: bytes
    weight: float = 1.0
    ttl: float | None = None
    health: Health = "unknown"
    draining: bool = False
    suspect: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """What keeping it costs, roughly: the bytes of what its caller wrote."""
        return len(self.metadata_json) + len(self.capabilities_json)

    @property
    def shown_status(self) -> str:
        """The status that others act on: a draining entry is not running for them."""
        return "draining" if self.draining else self.status

    @property
    def terms(self) -> Terms | None:
        """What its holder promised: nothing, where a connection is the whole lease."""
        if self.ttl is not None:
            return Terms.ttl(self.ttl)
        return CONTRACT_TERMS if self.kind == "service" else None

    def routable(self, lease: Lease) -> bool:
        """Whether clients may be sent here."""
        return self.status == RUNNING and not self.draining and not lease.overdue


def service_entry(body: ServiceBody, timestamp: str, caller: str, here: str) -> Entry:
    """The entry of a service; raises TooMuch."""
    return Entry(
        id=body.name,
        kind="service",
        endpoint=_joined(body.host, body.port),
        host=body.host,
        port=body.port,
        hostname=body.hostname,
        url=body.url,
        status=body.status,
        timestamp=timestamp,
        ttl=body.ttl,
        warnings=_warnings(body.host, caller, here),
        **_content(body.metadata, _capabilities_of(body.metadata), body.weight),
    )


def replica_entry(body: ReplicaBody, timestamp: str, caller: str, here: str) -> Entry:
    """The entry of a replica; raises TooMuch."""
    host, port = _parted(body.endpoint)
    metadata = {"type": "replica", **body.metadata, "capabilities": body.capabilities}
    return Entry(
        id=body.replica_id,
        kind="replica",
        endpoint=body.endpoint,
        host=host,
        port=port,
        hostname=host,
        url=body.endpoint if "://" in body.endpoint else f"grpc://{body.endpoint}",
        status=RUNNING,
        timestamp=timestamp,
        ttl=body.ttl,
        warnings=_warnings(host, caller, here),
        **_content(metadata, body.capabilities, body.weight),
    )


def changed(entry: Entry, body: ServiceChange, caller: str, here: str) -> dict[str, Any]:
    """The fields of an entry that a change asks for, and those that follow from them; raises TooMuch."""
    given = body.model_dump(exclude_none=True, exclude={"lease_id", "metadata"})
    if "host" in given or "port" in given:
        host, port = given.get("host", entry.host), given.get("port", entry.port)
        given |= {"endpoint": _joined(host, port), "warnings": _warnings(host, caller, here)}
    if body.metadata is None:
        return given
    return {**given, **_content(*_replaced(entry, body.metadata), given.get("weight"))}


def _replaced(entry: Entry, metadata: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """New metadata and what can be done by it: a replica's capabilities are its own, a service's follow."""
    if entry.kind == "service":
        return metadata, _capabilities_of(metadata)
    capabilities = orjson.loads(entry.capabilities_json)
    return {**metadata, "capabilities": capabilities}, capabilities


def _content(
    metadata: Mapping[str, Any], capabilities: list[dict[str, Any]], weight: float | None
) -> dict[str, Any]:
    if len(capabilities) > MOST_CAPABILITIES:
        msg = f"{len(capabilities)} capabilities; an entry may have {MOST_CAPABILITIES}"
        raise TooMuch(msg)
    offers = tuple(map(atoms_of, capabilities))
    if sum(map(len, offers)) > MOST_VALUES:
        msg = f"its capabilities hold more than {MOST_VALUES} values"
        raise TooMuch(msg)
    try:
        capabilities_json, metadata_json = compact(capabilities), compact(metadata)
    except orjson.JSONEncodeError as error:
        msg = f"it cannot be kept: {error}"
        raise TooMuch(msg) from None
    return {
        "offers": offers,
        "capabilities_json": capabilities_json,
        "metadata_json": metadata_json,
        "weight": _weight(metadata) if weight is None else weight,
    }


def _weight(metadata: Mapping[str, Any]) -> float:
    weight = metadata.get("weight")
    known = isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight <= 1_000_000
    return float(weight) if known and weight is not None else 1.0


def _capabilities_of(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`{"model": m, ...its flat metadata}` for every model that a service offers."""
    models = _models(metadata)
    if len(models) > MOST_CAPABILITIES:
        msg = f"{len(models)} models; an entry may have {MOST_CAPABILITIES}"
        raise TooMuch(msg)
    flat = {
        key: value
        for key, value in metadata.items()
        if key != "model" and isinstance(value, str | int | float | bool)
    }
    return [{"model": model, **flat} for model in models]


def _models(metadata: Mapping[str, Any]) -> list[str]:
    listed = metadata.get("models")
    if not isinstance(listed, list):
        described = metadata.get("models_list")
        rows = described if isinstance(described, list) else []
        listed = [row.get("id") for row in rows if isinstance(row, dict)]
    return list(dict.fromkeys(model for model in listed if isinstance(model, str)))


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parted(endpoint: str) -> tuple[str, int]:
    """Host and port of an endpoint, as far as it has them: it is not for the registry to understand."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        return parts.hostname or endpoint, parts.port or 0
    except ValueError:
        return endpoint, 0


_EVERYWHERE = {"0.0.0.0", "::", "localhost", "::1"}


def _means_itself(host: str) -> bool:
    return host.lower() in _EVERYWHERE or host.startswith("127.")


def _warnings(host: str, caller: str, here: str) -> tuple[str, ...]:
    """The most common real mistake: an address that only the registering machine itself can use."""
    if not _means_itself(host) or _means_itself(caller) or caller in {here, ""}:
        return ()
    warning = (
        f"host {host!r} means whichever machine reads it, but this registration came from {caller}; "
        "register an address that others can reach (a babysitter's or worker's --advertise option)"
    )
    return (warning,)
