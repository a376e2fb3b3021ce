"""Observers: each polls one view of one service and records what it sees."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Self

from harness.events import Seen
from harness.protocols import PROTOCOLS
from harness.protocols.base import ViewFailed
from harness.protocols.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from harness.clock import Clock
    from harness.evidence import Facts
    from harness.history import History
    from harness.protocols.base import WireProtocol

HTTP = "http:"


class Observers:
    """All observers of a run; a view that is asked for twice is polled once."""

    def __init__(
        self, history: History, client: httpx.AsyncClient, clock: Clock, facts: Facts, *, every: float
    ) -> None:
        self._history = history
        self._client = client
        self._clock = clock
        self._facts = facts
        self._every = every
        self._stack = AsyncExitStack()
        self._watched: set[tuple[str, str]] = set()

    async def __aenter__(self) -> Self:
        for service in self._facts.services:
            for protocol in service.speaks:
                for view in PROTOCOLS[protocol]().views:
                    await self.watch(service.name, view)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def watch(self, source: str, view: str) -> None:
        """Poll a view from now until the run ends."""
        if (source, view) in self._watched:
            return
        self._watched.add((source, view))
        protocol, url = self._find(source, view)
        if protocol is not None:
            await self._stack.enter_async_context(self._polling(protocol, source, url, view))

    def _find(self, source: str, view: str) -> tuple[WireProtocol | None, str]:
        if view.startswith(HTTP):
            return Http(), ""
        service = self._facts.service(source)
        if service is None or not service.url:
            return None, ""
        spoken = [PROTOCOLS[name]() for name in service.speaks]
        protocol = next((p for p in spoken if view in p.views), None)
        return protocol or (Http() if view in Http.views else None), service.url

    @asynccontextmanager
    async def _polling(self, protocol: WireProtocol, source: str, url: str, view: str) -> AsyncIterator[None]:
        # A context of its own: what it sees belongs to no step, whichever step asked for it.
        poll = self._poll(protocol, source, url, view)
        task = asyncio.create_task(poll, name=f"observe {source} {view}", context=Context())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _poll(self, protocol: WireProtocol, source: str, url: str, view: str) -> None:
        last: Any = None
        while True:
            began = self._clock.monotonic()
            try:
                value = await protocol.look(self._client, url, view)
            except ViewFailed as error:
                took = self._clock.monotonic() - began
                self._history.append(Seen(source=source, view=view, ok=False, took=took, error=str(error)))
            else:
                took = self._clock.monotonic() - began
                same = value == last
                self._history.append(
                    Seen(
                        source=source, view=view, ok=True, took=took, same=same, value=None if same else value
                    )
                )
                last = value
            await asyncio.sleep(max(0.0, self._every - (self._clock.monotonic() - began)))


def views_to_watch(checks: Sequence[Any], facts: Facts) -> list[tuple[str, str]]:
    """The views that a set of checks rests on."""
    wanted = [pair for check in checks if hasattr(check, "views") for pair in check.views(facts)]
    return list(dict.fromkeys(wanted))
