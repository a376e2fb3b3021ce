"""The breakers of all providers, as one process sees them; what they know is shared with all other processes.

    async with opened(settings) as breakers:
        admitted = await breakers.admit("openai")      # at once, from memory; see below
        if isinstance(admitted, Refused):
            ...                                        # try the next provider; admitted.retry_after
        else:
            with admitted as permit:                   # left without a verdict: abandoned
                ...                                    # call the provider, then one of
                permit.succeeded(seconds)
                permit.failed("timeout", seconds)
                permit.abandoned(rest=retry_after)     # rate limited; without rest: the caller's fault, left

`admit` suspends only where a probe is due: then one request of this process asks the stores for it, for at
most `claim_within` seconds, and all others are refused meanwhile. A provider that asked for a rest is
refused until then, with its circuit closed. `view` and `link` are for people and pages, and never suspend;
`reset` reaches everybody. An unknown provider is a KeyError: names are fixed when the breakers are opened.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from system.gateway.permits import BreakerSettings, BreakerView, Clocks, Permit, Refused, SyncView
from system.gateway.sharing import SharedBreakers
from system.gateway.strategies import Options
from system.gateway.sync import LINKS, RedisSettings, SyncSettings
from system.gateway.sync.base import ended

__all__ = [
    "BreakerSettings",
    "BreakerView",
    "Breakers",
    "Clocks",
    "Options",
    "Permit",
    "RedisSettings",
    "Refused",
    "SyncSettings",
    "SyncView",
    "opened",
]


class Breakers(Protocol):
    """What the gateway asks before and tells after every call."""

    async def admit(self, provider: str) -> Permit | Refused: ...

    def view(self, provider: str) -> BreakerView: ...

    async def reset(self, provider: str) -> None: ...

    @property
    def link(self) -> SyncView: ...


@asynccontextmanager
async def opened(settings: BreakerSettings, clocks: Clocks | None = None) -> AsyncIterator[Breakers]:
    """The breakers of this process; entered when it knows what the others know."""
    breakers = SharedBreakers(settings, clocks or Clocks())
    async with AsyncExitStack() as stack:
        for name, link in LINKS.items():
            entered = await stack.enter_async_context(link(settings.sync, breakers))
            if entered is not None:
                breakers.links[name] = entered
        keeping = asyncio.create_task(breakers.keep())
        try:
            yield breakers
        finally:
            await ended(keeping)
            breakers.hand_back()
