"""Plain HTTP: any URL as a view, and `/health`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from harness.diagnosis import explain_status, explain_unreachable
from harness.protocols.base import ViewFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_LIMIT = 20_000
"""Characters of a body that are kept in the history."""


async def get(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """GET a URL; ViewFailed says in words why there was no answer."""
    try:
        return await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ViewFailed(explain_unreachable(url, error)) from error


async def get_json(client: httpx.AsyncClient, url: str) -> Any:
    """GET a URL that must answer 2xx with JSON."""
    answer = await get(client, url)
    if not answer.is_success:
        raise ViewFailed(explain_status(url, answer.status_code))
    return json_of(answer, url)


def json_of(answer: httpx.Response, url: str) -> Any:
    """The answer's JSON; ViewFailed when it is something else."""
    try:
        return answer.json()
    except ValueError as error:
        msg = f"{url} answered {answer.status_code}, not JSON: {answer.text[:80]!r}; is it the right program?"
        raise ViewFailed(msg) from error


def whole_answer(answer: httpx.Response) -> dict[str, Any]:
    """The value of an `http:URL` view."""
    try:
        parsed = answer.json()
    except ValueError:
        parsed = None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {
        "status": answer.status_code,
        "headers": headers,
        "body": answer.text[:BODY_LIMIT],
        "json": parsed,
    }


class Http:
    """Anything that answers HTTP: `health`, and `http:URL` for any URL."""

    views: Mapping[str, str] = {"health": "/health"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Read one view; every status is an answer here."""
        if view.startswith("http:"):
            return whole_answer(await get(client, view.removeprefix("http:")))
        answer = await get(client, url + self.views[view])
        value = whole_answer(answer)
        return {
            "status": value["status"],
            "body": value["json"] if value["json"] is not None else value["body"],
        }
