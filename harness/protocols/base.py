"""What a protocol client is, and the shapes of the views it returns.

A view is a JSON value, the same whatever the protocol:

- `services`  `{name: {"url": str, "host": str, "port": int, "healthy": bool, "models": [str], "metadata":
{..}}}`
- `replicas`  `{replica id: {"endpoint": str, "capabilities": [{..}], "routable": bool}}`
- `circuits`  `{worker id: {provider: "CLOSED" | "OPEN" | "HALF_OPEN"}}`, of the processes that were met
- `models`    `{"models": [str, ...]}`, in the answer's order, repeats kept
- `health`    `{"status": int, "body": JSON or text}`
- `http:URL`  `{"status": int, "headers": {lower-case name: value}, "body": str, "json": JSON or null}`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx


class ViewFailed(Exception):
    """The service did not answer, or not in its protocol; the text says which URL, how, and what to check."""


class WireProtocol(Protocol):
    """A thin client of somebody's wire protocol."""

    views: Mapping[str, str]
    """View name -> the path it is read from."""

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Read one view of the service at `url`; raises ViewFailed."""
