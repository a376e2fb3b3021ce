"""A load balancer over nodes that carry models, as it shows them at `/status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.protocols.base import ViewFailed
from harness.protocols.http import get_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx


def parse_nodes(body: object, url: str) -> dict[str, Any]:
    """The balancer's answer -> the `services` view: each node as an entry that offers its model."""
    if isinstance(body, dict) and body.get("success") is False:
        msg = f"{url} shows no nodes: {body.get('error')}"
        raise ViewFailed(msg)
    nodes = body.get("clients") if isinstance(body, dict) else None
    if not isinstance(nodes, list):
        msg = f"{url} answered without a list of clients: {str(body)[:80]}; is a balancer listening there?"
        raise ViewFailed(msg)
    return {_name(node, url): _entry(node) for node in nodes}


def _name(node: object, url: str) -> str:
    if not isinstance(node, dict) or not isinstance(node.get("client_id"), str):
        msg = f"{url} lists a node without a client_id: {str(node)[:80]}"
        raise ViewFailed(msg)
    return str(node["client_id"])


def _entry(node: Mapping[str, Any]) -> dict[str, Any]:
    address = str(node.get("address", ""))
    host, _, port = address.rpartition(":")
    return {
        "url": f"grpc://{address}",
        "host": host.strip("[]"),
        "port": int(port) if port.isdecimal() else None,
        "healthy": node.get("state") == "ready",
        "models": [str(node["model"])] if node.get("model") else [],
        "metadata": {"score": node.get("score"), "state": node.get("state")},
    }


class Balancer:
    """Nodes with their points and models, listed as JSON at `/status`."""

    views: Mapping[str, str] = {"services": "/status"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Read the table of nodes."""
        path = url + self.views[view]
        return parse_nodes(await get_json(client, path), path)
