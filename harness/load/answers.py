"""Turning an HTTP exchange into a RequestDone: outcome, timing, and who served it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import aiohttp

from harness.diagnosis import explain_unreachable
from harness.events import CUT_OFF, LEFT, RequestDone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from harness.evidence import Facts
    from harness.load.base import Client

CONTENT_KEPT = 200
"""Characters of an answer's content that a record keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it is sent."""

    id: str
    method: str
    url: str
    model: str = ""
    stream: bool = False
    json: Any = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    session: str = ""
    leave_after: float | None = None
    """Seconds after which the client goes away, whatever has come until then."""


@asynccontextmanager
async def session(client: Client, concurrency: int, timeout: float) -> AsyncIterator[aiohttp.ClientSession]:
    """A connection pool as wide as the load, its time limit per request."""
    connector = aiohttp.TCPConnector(limit=max(concurrency, 1), force_close=False)
    limit = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(
        connector=connector, timeout=limit, headers=dict(client.headers)
    ) as pool:
        yield pool


async def exchange(
    pool: aiohttp.ClientSession,
    client: Client,
    asked: Asked,
    read: Callable[[aiohttp.ClientResponse, RequestDone], Awaitable[RequestDone]],
) -> RequestDone:
    """Send one request; `read` takes in the answer and completes the record."""
    now = client.history.now
    done = RequestDone(
        load=client.load,
        id=asked.id,
        method=asked.method,
        url=asked.url,
        model=asked.model,
        stream=asked.stream,
        session=asked.session,
        outcome="unknown",
        started=now(),
        ended=now(),
        complete=False,
    )
    headers = {"x-request-id": asked.id, **asked.headers}
    patience = asyncio.timeout(asked.leave_after)
    try:
        async with (
            patience,
            pool.request(
                asked.method, asked.url, json=asked.json, data=asked.body, headers=headers
            ) as answer,
        ):
            done = replace(done, first_byte=now(), status=answer.status, claims=claims_of(answer, client))
            done = await read(answer, done)
    except asyncio.CancelledError:
        # Only the load's own end cancels an exchange: it is recorded, and the sender sees the end itself.
        done = replace(done, outcome="unknown", error=CUT_OFF)
    except TimeoutError:
        late = LEFT if patience.expired() else f"no whole answer within {pool.timeout.total:g} s"
        done = replace(done, outcome="unknown", error=late)
    except (aiohttp.ClientError, OSError) as error:
        done = replace(done, outcome="error", error=explain_unreachable(asked.url, error))
    done = replace(done, ended=now())
    return replace(done, served_by=served_by(done, client))


def claims_of(answer: aiohttp.ClientResponse, client: Client) -> dict[str, str]:
    """The identity headers that the answer carries, outermost first."""
    return {name: answer.headers[name] for name in client.identity if name in answer.headers}


def served_by(done: RequestDone, client: Client) -> str:
    """Who served a request, as a registered name where the facts allow it; empty when nothing says so."""
    found = next(iter(done.claims.values()), "")
    if not found and client.pattern:
        match = re.search(client.pattern, done.content)
        found = (match[1] if match.groups() else match[0]) if match else ""
    return registered_name(found, done.model, client.facts)


def registered_name(answered: str, model: str, facts: Facts) -> str:
    """The registered name behind an answering name (`mock-service-a` -> `babysitter-a-server`)."""
    owner = facts.owner(answered)
    if not answered or owner is None or answered in owner.registers:
        return answered
    serving = [name for name, models in owner.registers.items() if models]
    fitting = [name for name in serving if model in owner.registers[name]] or serving
    return fitting[0] if len(fitting) == 1 else answered
