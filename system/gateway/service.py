"""One process of the gateway as an ASGI app: guard, OpenAI's path by itself, FastAPI for everything else."""

import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from system.asgi import App, Message, Receive, Scope, Send
from system.errors import ComponentError
from system.gateway.access import RATED_PATHS, guarded
from system.gateway.completions import Completions
from system.gateway.engine import Engine
from system.gateway.pages import pages
from system.gateway.running import engine_of
from system.gateway.settings import GatewayConfig, check, read_providers
from system.gateway.views import Look, Stand
from system.router.files import load_callers
from system.tokens import read_tokens

log = logging.getLogger("gateway")


class Service:
    """Made from its settings, which it checks; it answers while `running` is entered."""

    engine: Engine
    _pages: App

    def __init__(self, config: GatewayConfig, environ: Mapping[str, str]) -> None:
        check(config)
        self.config = config
        self.worker_id = os.getpid()
        self.wall = time.time
        self._providers = read_providers(config, environ)
        callers = load_callers(config.callers, read_tokens(config.token_file), config.workers)
        self._worker_header = (b"x-worker-id", b"%d" % self.worker_id)
        self._completions = Completions(self)
        self._guarded = guarded(self._inner, callers, time.monotonic, config.max_body)

    def look(self) -> Look:
        """How everything stands now."""
        breakers = self.engine.breakers
        return Look(
            worker_id=self.worker_id,
            now=self.wall(),
            stands=tuple(
                Stand(provider=one, breaker=breakers.view(one.name)) for one in self.engine.providers
            ),
            link=breakers.link,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Entered when it may be asked."""
        log.info("Starting gateway worker %d", self.worker_id)
        async with engine_of(self.config, self._providers) as engine:
            self.engine = engine
            self._pages = pages(self)
            names = ", ".join(f"{one.name} ({one.model})" for one in engine.providers)
            log.info("Worker %d ready to handle requests: %s", self.worker_id, names)
            try:
                yield
            finally:
                log.info("Worker %d shutdown complete", self.worker_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, self._signed(send))

    def _signed(self, send: Send) -> Send:
        """Every answer says which process gave it."""
        line = self._worker_header

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), line]
            await send(message)

        return signed

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in RATED_PATHS:
            await self.engine.pacer.turn()
        answer = self._completions.routes.get((scope["method"], scope["path"]), self._pages)
        await answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's way to say start and stop, for servers that are not ours."""
        await receive()
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.running())
            except ComponentError as error:
                print(f"gateway: {error}", file=sys.stderr)
                await send({"type": "lifespan.startup.failed"})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
