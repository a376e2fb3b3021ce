"""A registry of replicas and what they can do, which says where to send a query (the AnyServe dialect)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.diagnosis import explain_status
from harness.protocols.base import ViewFailed
from harness.protocols.http import get, get_json, json_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

WITH_STATE = "/replicas"


def parse_replicas(body: object, url: str) -> dict[str, Any]:
    """The registry's answer -> the `replicas` view; entries without an id or an endpoint are refused."""
    entries = body.get("replicas") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        msg = f"{url} answered without a list of replicas: {str(body)[:80]}; is a registry listening there?"
        raise ViewFailed(msg)
    view: dict[str, Any] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in _NAMED):
            msg = f"{url} lists an entry without {' and '.join(_NAMED)}: {str(entry)[:80]}"
            raise ViewFailed(msg)
        view[entry["replica_id"]] = _entry(entry)
    return view


_NAMED = ("replica_id", "endpoint")


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    able = entry.get("capabilities")
    return {
        "endpoint": entry["endpoint"],
        "capabilities": [one for one in able if isinstance(one, dict)] if isinstance(able, list) else [],
        "routable": bool(entry.get("is_healthy", True)),
    }


class CapabilityRegistry:
    """A registry that lists replicas at `/replicas` with their state, or else at `/registry`."""

    views: Mapping[str, str] = {"replicas": "/registry"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Read the table of replicas."""
        path = url + WITH_STATE
        answer = await get(client, path)
        if answer.status_code == 404:
            path = url + self.views[view]
            return parse_replicas(await get_json(client, path), path)
        if not answer.is_success:
            raise ViewFailed(explain_status(path, answer.status_code))
        return parse_replicas(json_of(answer, path), path)
