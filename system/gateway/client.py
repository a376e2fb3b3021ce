"""The gateway as a library: `Gateway` asks providers from plain code and from coroutines alike, without HTTP.

    with Gateway() as gateway:                        # keys from the environment, as the server has them
        print(gateway.chat("What is Python?").content)

All of it runs on one event loop in a thread of the gateway's own, so that breakers and connections are
shared by every thread and every loop of the program.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from system.config import read_config
from system.gateway.breakers import BreakerView
from system.gateway.engine import Engine
from system.gateway.providers import ProviderSettings
from system.gateway.running import engine_of
from system.gateway.settings import GatewayConfig, by_priority, check, read_providers
from system.gateway.values import AUTO, Answer, Chat, Chunk, Message, check_options, messages_of, options_of

T = TypeVar("T")

_END = object()


class Gateway:
    """Providers that are asked in order of priority until one answers, each behind its breaker.

    `providers` are who is asked; without them the environment says so, in the same words as for the server.
    `settings` are those of the command (`threshold=5`, `recovery=60.0`, `timeout=30.0`, ...). What this
    gateway learns about its providers stays in this process, unless `redis="redis://..."` is among them.
    """

    def __init__(self, providers: Sequence[ProviderSettings] | None = None, **settings: Any) -> None:
        known = read_config("gateway", "", GatewayConfig, [], os.environ if providers is None else {})
        config = replace(known, **{"redis": known.redis or "none", **settings})
        check(config)
        found = read_providers(config, os.environ) if providers is None else by_priority(list(providers))
        if not found:
            msg = "a gateway needs at least one provider"
            raise ValueError(msg)
        self._config = config
        self._providers = found
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine
        self._stack = AsyncExitStack()
        self._closed = False

    # asked by plain code

    def chat(self, message: str | Sequence[Message], **how: Any) -> Answer:
        """The answer to a text, or to a whole conversation. `how`: system_message, provider, model, and
        OpenAI's options (temperature, max_tokens, ...). Raises GatewayError where nobody has answered.
        """
        return self.wait_for(chat_of(message, how))

    def chat_stream(self, message: str | Sequence[Message], **how: Any) -> Iterator[Chunk]:
        """The same, as it comes."""
        return self.iterate(chat_of(message, how))

    def wait_for(self, chat: Chat) -> Answer:
        return self._run(self._ready().complete(chat))

    def iterate(self, chat: Chat) -> Iterator[Chunk]:
        chunks = self._ready().stream(chat)
        try:
            while (chunk := self._run(_next(chunks))) is not _END:
                yield chunk
        finally:
            self._run(chunks.aclose())

    # asked by coroutines

    async def achat(self, message: str | Sequence[Message], **how: Any) -> Answer:
        """`chat` for coroutines."""
        return await self.complete(chat_of(message, how))

    def achat_stream(self, message: str | Sequence[Message], **how: Any) -> AsyncGenerator[Chunk, None]:
        """`chat_stream` for coroutines."""
        return self.stream(chat_of(message, how))

    async def complete(self, chat: Chat) -> Answer:
        engine = await asyncio.to_thread(self._ready)
        return await self._bridge(engine.complete(chat))

    async def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]:
        engine = await asyncio.to_thread(self._ready)
        chunks = engine.stream(chat)
        try:
            while (chunk := await self._bridge(_next(chunks))) is not _END:
                yield chunk
        finally:
            await self._bridge(chunks.aclose())

    # its providers

    def status(self) -> dict[str, BreakerView]:
        """How each provider stands, by name."""
        breakers = self._ready().breakers
        return {one.name: breakers.view(one.name) for one in self._providers}

    def reset(self, provider: str) -> None:
        """Close a provider's circuit."""
        self._run(self._ready().breakers.reset(provider))

    def close(self) -> None:
        """Close every connection. What is under way is cancelled."""
        with self._lock:
            loop, self._loop, self._closed = self._loop, None, True
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._shut_down(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # its thread

    def _ready(self) -> Engine:
        with self._lock:
            if self._closed:
                msg = "this gateway is closed"
                raise RuntimeError(msg)
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=loop.run_forever, name="gateway", daemon=True)
                self._thread.start()
                entering = self._stack.enter_async_context(engine_of(self._config, self._providers))
                self._engine = asyncio.run_coroutine_threadsafe(entering, loop).result()
                self._loop = loop
            return self._engine

    async def _shut_down(self) -> None:
        busy = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await self._stack.aclose()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        working = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return working.result()
        except BaseException:
            working.cancel()
            raise

    async def _bridge(self, coroutine: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


async def _next(chunks: AsyncGenerator[Chunk, None]) -> Any:
    return await anext(chunks, _END)


def chat_of(message: str | Sequence[Message], how: Mapping[str, Any]) -> Chat:
    """A question as users put it; raises TypeError or ValueError and names what is wrong."""
    rest = dict(how)
    system = rest.pop("system_message", None)
    model = rest.pop("model", None) or AUTO
    provider = rest.pop("provider", None)
    options = options_of(**rest)
    check_options(options)
    return Chat(messages=messages_of(message, system), options=options, model=model, provider=provider)


_default: Gateway | None = None
_default_lock = threading.Lock()


def default_gateway() -> Gateway:
    """The gateway that decorated functions use unless they are given one: made from the environment, once."""
    global _default  # noqa: PLW0603 - one for the whole program is the point
    with _default_lock:
        if _default is None:
            _default = Gateway()
            atexit.register(_default.close)
        return _default
