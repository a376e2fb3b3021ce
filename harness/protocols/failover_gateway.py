"""A gateway that fails over between providers, as its processes show it at `/health` (FlexiAI's dialect)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from harness.diagnosis import explain_unreachable
from harness.protocols.base import ViewFailed
from harness.protocols.http import json_of

if TYPE_CHECKING:
    from collections.abc import Mapping

AT_ONCE = 4
"""Connections of one look: each is new, and meets one of the processes."""


class FailoverGateway:
    """Several processes behind one port: each new connection meets one of them, which says who it is."""

    views: Mapping[str, str] = {"circuits": "/health"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Meet a few of the processes, as chance will have it: `{worker id: {provider: circuit state}}`."""
        met = await asyncio.gather(*(meet(client, url + self.views[view]) for _ in range(AT_ONCE)))
        return dict(sorted(dict(met).items()))  # met twice: what it showed last


async def meet(client: httpx.AsyncClient, url: str) -> tuple[str, dict[str, str]]:
    """One process, by a connection of its own; 503 is an answer here: it is what an open circuit gives."""
    try:
        answer = await client.get(url, headers={"connection": "close"})
    except (httpx.HTTPError, OSError) as error:
        raise ViewFailed(explain_unreachable(url, error)) from error
    body = json_of(answer, url)
    try:
        return str(body["worker_id"]), {p["name"]: str(p["circuit_state"]) for p in body["providers"]}
    except (KeyError, TypeError) as error:
        msg = f"{url} answered without worker_id and providers: {answer.text[:80]!r}; is it a gateway?"
        raise ViewFailed(msg) from error
