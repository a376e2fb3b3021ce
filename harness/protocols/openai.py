"""The OpenAI-compatible wire protocol, as far as it can be looked at: the model list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.diagnosis import explain_status
from harness.protocols.base import ViewFailed
from harness.protocols.http import get, json_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx


def parse_models(body: object, url: str) -> dict[str, Any]:
    """`{"data": [{"id": ...}, ...]}` -> `{"models": [...]}`, in order, repeats kept."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list) or not all(isinstance(m, dict) and "id" in m for m in data):
        msg = f"{url} answered without a list of models under 'data': {str(body)[:80]}"
        raise ViewFailed(msg)
    return {"models": [str(model["id"]) for model in data]}


class OpenAI:
    """A server that lists and serves models as OpenAI's API does; `/models` first, then `/v1/models`."""

    views: Mapping[str, str] = {"models": "/models"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Read the model list."""
        path = url + self.views[view]
        answer = await get(client, path)
        if answer.status_code == 404:
            path = f"{url}/v1{self.views[view]}"
            answer = await get(client, path)
        if not answer.is_success:
            raise ViewFailed(explain_status(path, answer.status_code))
        return parse_models(json_of(answer, path), path)
