"""The engine under every load: who sends when, bounded in count, time and requests in flight."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from harness.events import LoadFinished, LoadStarted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from harness.events import RequestDone
    from harness.load.base import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much traffic: a number of requests, or a rate for some seconds, or (neither) until cancelled."""

    what: str
    url: str
    requests: int | None
    concurrency: int
    rate: float | None = None
    seconds: float | None = None

    def numbers(self, cap: int | None) -> Iterator[int]:
        """The requests to send, from 0, at most `cap`."""
        total = self.requests
        if total is None and self.rate is not None and self.seconds is not None:
            total = max(1, round(self.rate * self.seconds))
        bounds = [bound for bound in (total, cap) if bound is not None]
        return iter(range(min(bounds))) if bounds else count()


async def drive(plan: Plan, client: Client, send: Callable[[int], Awaitable[RequestDone]]) -> None:
    """Send everything the plan says, record every outcome; a cancelled load drains before it ends."""
    outcomes: Counter[str] = Counter()
    numbers = plan.numbers(client.cap)
    begun = client.history.now()
    stopping = asyncio.Event()
    client.history.append(
        LoadStarted(
            load=client.load,
            what=plan.what,
            url=plan.url,
            requests=plan.requests,
            concurrency=plan.concurrency,
            rate=plan.rate,
            seconds=plan.seconds,
        )
    )

    async def sender() -> None:
        for number in numbers:
            if plan.rate is not None:
                await _until(begun + number / plan.rate, client, stopping)
            if stopping.is_set() or _is_over(plan, begun, client):
                return
            done = await send(number)
            outcomes[done.outcome] += 1
            client.history.append(done)

    senders = [asyncio.create_task(sender()) for _ in range(plan.concurrency)]
    try:
        # Not gather: that would cancel the senders with this task, and they are to drain.
        await asyncio.wait(senders, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError:
        stopping.set()
        await asyncio.wait(senders, timeout=client.drain)
        raise
    finally:
        stopping.set()
        for task in senders:
            task.cancel()
        ended = await asyncio.gather(*senders, return_exceptions=True)
        client.history.append(
            LoadFinished(
                load=client.load,
                sent=outcomes.total(),
                ok=outcomes["ok"],
                failed=outcomes["error"],
                unknown=outcomes["unknown"],
            )
        )
    broken = [error for error in ended if isinstance(error, Exception)]
    if broken:
        raise broken[0]


def _is_over(plan: Plan, begun: float, client: Client) -> bool:
    return plan.seconds is not None and plan.rate is None and client.history.now() >= begun + plan.seconds


async def _until(moment: float, client: Client, stopping: asyncio.Event) -> None:
    """Wait for a moment of the history's clock, or for the end of the load."""
    wait = moment - client.history.now()
    if wait > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), wait)
