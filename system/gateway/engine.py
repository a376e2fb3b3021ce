"""The heart of the gateway: providers behind their breakers, asked in order until one answers."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Self

from system.gateway.breakers import Breakers, Permit, Refused
from system.gateway.counts import Counts
from system.gateway.errors import Attempt, GatewayError, ProviderError
from system.gateway.failover import exhausted, in_order, judge, refused, skipped
from system.gateway.pacing import Pacer
from system.gateway.providers.base import Provider
from system.gateway.values import Answer, Chat, Chunk, Usage

log = logging.getLogger("gateway")


class Engine:
    """What answers chats: pure order and judgement from failover.py, joined with providers and breakers."""

    def __init__(
        self,
        providers: Sequence[Provider],
        breakers: Breakers,
        pacer: Pacer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.providers = tuple(providers)
        self.breakers = breakers
        self.pacer = pacer
        self.clock = clock
        self.counts = Counts(tuple(one.name for one in providers))

    async def complete(self, chat: Chat) -> Answer:
        """The answer of the first provider that gives one; raises GatewayError."""
        turns = Turns(self, chat)
        async for provider, permit in turns:
            with permit:
                began = self.clock()
                try:
                    answer = await provider.complete(chat)
                except ProviderError as error:
                    turns.failed(provider, permit, error, began)
                else:
                    turns.succeeded(provider, permit, began, answer.usage)
                    return answer
        raise turns.exhausted()

    async def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]:
        """The same in pieces: another provider is asked only as long as none has sent anything."""
        turns = Turns(self, chat)
        async for provider, permit in turns:
            with permit:
                began, begun, usage = self.clock(), None, None
                try:
                    async with aclosing(provider.stream(chat)) as chunks:
                        async for chunk in chunks:
                            begun, usage = begun or self.clock(), chunk.usage or usage
                            yield chunk
                except ProviderError as error:
                    turns.failed(provider, permit, error, began)
                    if begun is not None:
                        raise
                else:
                    turns.succeeded(provider, permit, began, usage, begun)
                    return
        raise turns.exhausted()

    async def close(self) -> None:
        async with AsyncExitStack() as stack:
            for provider in self.providers:
                stack.push_async_callback(provider.close)


class Turns:
    """One question's way from provider to provider: `async for provider, permit in turns`."""

    def __init__(self, engine: Engine, chat: Chat) -> None:
        self.tried: list[Attempt] = []
        self._engine = engine
        self._chat = chat
        self._order = iter(in_order(engine.providers, chat))
        engine.counts.requests += 1

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Provider, Permit]:
        """The next one that may be asked."""
        for provider in self._order:
            why = provider.cannot(self._chat)
            if why:
                self.tried.append(skipped(provider, why))
                continue
            admitted = await self._engine.breakers.admit(provider.name)
            if isinstance(admitted, Refused):
                self.tried.append(refused(provider, admitted))
                continue
            self._engine.counts.providers[provider.name].requests += 1
            return provider, admitted
        raise StopAsyncIteration

    def succeeded(
        self,
        provider: Provider,
        permit: Permit,
        began: float,
        usage: Usage | None,
        begun: float | None = None,
    ) -> None:
        """Note it; of a stream, how soon it has `begun` says whether the provider is slow."""
        seconds = self._engine.clock() - began
        permit.succeeded(seconds if begun is None else begun - began)
        self._engine.counts.providers[provider.name].succeeded(seconds, usage)
        self._engine.counts.failovers += bool(self.tried)

    def failed(self, provider: Provider, permit: Permit, error: ProviderError, began: float) -> None:
        """Note it; raises the error again where nobody else may be asked."""
        seconds = self._engine.clock() - began
        judge(permit, error, seconds)
        self._engine.counts.providers[provider.name].failed(error, seconds)
        if not error.elsewhere:
            raise error
        log.warning("provider %s failed: %s: %s", provider.name, error.word, error.why)
        self.tried.append(error.attempt(provider.model))

    def exhausted(self) -> GatewayError:
        self._engine.counts.exhausted += 1
        return exhausted(self.tried)
