"""A registry that lists services at `/services` with heartbeats (the InfiniLM-SVC dialect)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.protocols.base import ViewFailed
from harness.protocols.http import get_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

KEPT_METADATA = ("type", "parent_service", "cache_type")


def parse_services(body: object, url: str) -> dict[str, Any]:
    """The registry's answer -> the `services` view; entries without a name are refused."""
    entries = body.get("services") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        msg = f"{url} answered without a list of services: {str(body)[:80]}; is a registry listening there?"
        raise ViewFailed(msg)
    view: dict[str, Any] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            msg = f"{url} lists an entry without a name: {str(entry)[:80]}"
            raise ViewFailed(msg)
        view[entry["name"]] = _entry(entry)
    return view


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    metadata = entry.get("metadata") if isinstance(entry.get("metadata"), dict) else {}
    models = metadata.get("models") if isinstance(metadata, dict) else None
    return {
        "url": str(entry.get("url", "")),
        "host": str(entry.get("host", "")),
        "port": entry.get("port"),
        "healthy": bool(entry.get("is_healthy", False)),
        "models": [str(m) for m in models] if isinstance(models, list) else [],
        "metadata": {key: metadata[key] for key in KEPT_METADATA if metadata and key in metadata},
    }


class ServiceRegistry:
    """A registry of named services with metadata, listed as JSON at `/services`."""

    views: Mapping[str, str] = {"services": "/services"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Read the table of services."""
        path = url + self.views[view]
        return parse_services(await get_json(client, path), path)
