"""Load `http`: any HTTP request, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from harness.load.answers import CONTENT_KEPT, Asked, exchange, session
from harness.load.traffic import Plan, drive
from harness.options import ServiceName
from harness.quantities import Duration, Rate

if TYPE_CHECKING:
    import aiohttp

    from harness.events import RequestDone
    from harness.load.base import Client


@dataclass(frozen=True, slots=True)
class Http:
    """HTTP requests to a path or URL; a 2xx answer is ok.

    ```yaml
    load: {http: /health, at: registry, requests: 100, concurrency: 4}
    load: {http: "{router.url}/models", rate: 20/s, for: 3s}
    ```
    """

    url: str
    """A whole URL, or a path at the service `at`."""
    _: KW_ONLY
    at: ServiceName = ""
    """The service a path belongs to."""
    method: str = "GET"
    """The HTTP method."""
    json: Any = None
    """A JSON body."""
    body: str | None = None
    """A body as it is."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further request headers."""
    requests: Annotated[int, Field(gt=0, le=1_000_000)] | Literal["auto"] | None = None
    """How many; `auto` lets the check beside it say how many it needs."""
    concurrency: Annotated[int, Field(gt=0, le=1000)] = 1
    """Requests in flight at most."""
    rate: Rate | None = None
    """Requests a second, sent on schedule whether or not earlier ones have ended."""
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long."""
    timeout: Duration = 30.0
    """How long one answer may take."""

    async def run(self, client: Client) -> None:
        """Send and record; see `harness.load.base.Load`."""
        url = self.url if "://" in self.url else client.urls[self.at] + self.url
        plan = Plan(
            what=f"{self.method} {self.url}",
            url=url,
            requests=client.requests if self.requests == "auto" else self.requests,
            concurrency=self.concurrency if self.rate is None else max(self.concurrency, 64),
            rate=self.rate,
            seconds=self.seconds,
        )
        async with session(client, plan.concurrency, self.timeout) as pool:

            async def send(number: int) -> RequestDone:
                asked = Asked(
                    id=f"{client.id_prefix}-{client.load}-{number:06d}",
                    method=self.method,
                    url=url,
                    json=self.json,
                    body=self.body,
                    headers=self.headers,
                )
                return await exchange(pool, client, asked, read_any)

            await drive(plan, client, send)


async def read_any(answer: aiohttp.ClientResponse, done: RequestDone) -> RequestDone:
    """Take in any answer whole; ok is a 2xx."""
    raw = await answer.read()
    text = raw[:CONTENT_KEPT].decode("utf-8", "replace")
    error = "" if answer.ok else f"{answer.status}: {text[:120]}"
    return replace(done, outcome="ok" if answer.ok else "error", error=error, content=text, complete=True)
