"""Breakers of several processes, which live in one: nothing but their links joins them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from system.gateway.breakers import Breakers, BreakerSettings, Permit, SyncSettings, opened

DEADLINE = 10.0
P = "openai"


async def until(holds: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition; fails with what there is instead."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {DEADLINE:g} s: {what()}"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def together(count: int, sync: SyncSettings, **options: Any) -> AsyncIterator[list[Breakers]]:
    """So many processes that share; entered when each hears the others."""
    settings = BreakerSettings(**{"providers": (P, "anthropic"), "sync": sync, **options})
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(opened(settings)) for _ in range(count)]
        await until(lambda: all(one.link.sync_enabled for one in made))
        yield made


async def fail(breakers: Breakers, times: int = 1) -> None:
    for _ in range(times):
        permit = await breakers.admit(P)
        assert isinstance(permit, Permit), permit
        permit.failed("timeout", 0.1)


async def succeed(breakers: Breakers) -> None:
    permit = await breakers.admit(P)
    assert isinstance(permit, Permit), permit
    permit.succeeded(0.1)


async def all_are(state: str, *processes: Breakers) -> None:
    await until(
        lambda: all(one.view(P).state.name == state for one in processes),
        lambda: [one.view(P) for one in processes],
    )


async def probe(*processes: Breakers) -> Permit:
    """The probe, once somebody has won it."""
    while True:
        for one in processes:
            if isinstance(admitted := await one.admit(P), Permit):
                assert admitted.probe, "admitted, but not as a probe"
                return admitted
        await asyncio.sleep(0.005)
