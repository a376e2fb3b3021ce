"""Load `route`: asks a registry which replica can do something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

from pydantic import Field

from harness.errors import EnvironmentFailure
from harness.events import Seen
from harness.history import of
from harness.load.answers import CONTENT_KEPT, Asked, exchange, session
from harness.load.traffic import Plan, drive
from harness.options import ServiceName
from harness.quantities import Duration, Rate
from harness.queries import PATH, Query, Sort, queries, stated_capabilities, text_of

if TYPE_CHECKING:
    import aiohttp

    from harness.events import RequestDone
    from harness.load.base import Client

PROTOCOL = "capability_registry"
VIEW = "replicas"
NO_MATCH = "no matching replica"


@dataclass(frozen=True, slots=True)
class Route:
    """Queries for a replica with a capability; a replica, or that there is none, is a good answer.

    ```yaml
    load: {route: mixed, at: registry, requests: auto, concurrency: 4}
    load: {route: {type: chat, gpus: 2}, rate: 100/s, for: 3s}
    ```

    The queries are made from the capabilities that the topology states (or, where it states none, from those
    that the registry shows): every subset of each, in turn, and as many that nobody meets: another value,
    one more key, conditions that only two capabilities of a replica meet together.
    """

    query: Mapping[str, str | int | float | bool] | Sort = "mixed"
    """The conditions; or `registered` (what somebody can do), `unregistered` (what nobody can), `mixed`."""
    _: KW_ONLY
    at: ServiceName = ""
    """The registry that is asked; empty: the first that speaks `capability_registry`."""
    requests: Annotated[int, Field(gt=0, le=1_000_000)] | Literal["auto"] | None = None
    """How many; `auto` lets the check beside it say how many it needs."""
    concurrency: Annotated[int, Field(gt=0, le=1000)] = 1
    """Requests in flight at most."""
    rate: Rate | None = None
    """Requests a second, sent on schedule whether or not earlier ones have ended."""
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long."""
    timeout: Duration = 5.0
    """How long one answer may take."""

    async def run(self, client: Client) -> None:
        """Send and record; see `harness.load.base.Load`."""
        asked = self._queries(client)
        plan = Plan(
            what=f"route {self.query if isinstance(self.query, str) else urlencode(asked[0])}",
            url=_base(client, self.at) + PATH,
            requests=client.requests if self.requests == "auto" else self.requests,
            concurrency=self.concurrency if self.rate is None else max(self.concurrency, 64),
            rate=self.rate,
            seconds=self.seconds,
        )
        async with session(client, plan.concurrency, self.timeout) as pool:

            async def send(number: int) -> RequestDone:
                query = asked[number % len(asked)]
                request = Asked(
                    id=f"{client.id_prefix}-{client.load}-{number:06d}",
                    method="GET",
                    url=f"{plan.url}?{urlencode(query)}",
                )
                return replace(await exchange(pool, client, request, read_route), query=query)

            await drive(plan, client, send)

    def _queries(self, client: Client) -> list[Query]:
        if not isinstance(self.query, str):
            return [{key: text_of(value) for key, value in self.query.items()}]
        known = list(stated_capabilities(client.facts).values()) or _shown(client, self.at)
        if found := queries(known, self.query):
            return found
        msg = (
            f"nothing says what replicas can do, so there is nothing to ask for as '{self.query}': state "
            "'capabilities' of services in the topology, or write the conditions of a query"
        )
        raise EnvironmentFailure(msg)


async def read_route(answer: aiohttp.ClientResponse, done: RequestDone) -> RequestDone:
    """Take in where a query is sent: a replica's id and endpoint, or 404 because nobody can do that."""
    raw = await answer.read()
    text = raw[:CONTENT_KEPT].decode("utf-8", "replace")
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    told = body if isinstance(body, dict) else {}
    if answer.status == 404 and told.get("detail") == NO_MATCH:
        return replace(done, outcome="ok", content=text, complete=True)
    named, endpoint = told.get("replica_id"), told.get("endpoint")
    if answer.ok and isinstance(named, str) and isinstance(endpoint, str):
        claims = {"replica_id": named}
        return replace(done, outcome="ok", content=endpoint, claims=claims, complete=True)
    return replace(done, outcome="error", error=f"{answer.status}: {text[:120]}", complete=True)


def _base(client: Client, at: str) -> str:
    speaking = client.facts.speaking(PROTOCOL)
    return client.urls[at or (speaking[0].name if speaking else "")]


def _shown(client: Client, at: str) -> list[list[Mapping[str, object]]]:
    """The capabilities that the registry showed last."""
    looks = [
        seen.value
        for _, seen in of(client.history.records, Seen)
        if seen.view == VIEW and seen.ok and not seen.same and at in ("", seen.source)
    ]
    return [entry["capabilities"] for entry in looks[-1].values()] if looks else []
