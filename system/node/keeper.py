"""The model that a node was told to run: made ready by its engine, and what is to be reported meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from system.balancer.models import Model
from system.node.engines.base import Engine, EngineError

log = logging.getLogger("node")


class Keeper:
    """Fetches a model when it is missing. The balancer is told the state: ready, fetching or failed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fetching: asyncio.Task[None] | None = None
        self.model = ""
        self.state = "ready"
        self.detail = ""
        self.installed: Sequence[Model] = ()

    async def look(self) -> None:
        """Ask the engine for its models; says in `detail` if it cannot be asked."""
        try:
            self.installed = await self._engine.installed()
        except EngineError as error:
            self.detail = str(error)
            log.warning("%s", error)

    def assign(self, model: str) -> None:
        """Run this model from now on."""
        if model == self.model and self.state != "failed":
            return
        self.model = model
        if self._fetching is not None:
            self._fetching.cancel()
        self._fetching = asyncio.create_task(self._make_ready(model)) if model else None

    async def _make_ready(self, model: str) -> None:
        self.state, self.detail = "fetching", f"looking for {model}"
        try:
            self.installed = await self._engine.installed()
            if not any(one.name == model for one in self.installed):
                log.info("%s is not there: fetching it", model)
                await self._engine.install(model, self._tell)
                self.installed = await self._engine.installed()
        except EngineError as error:
            self.state, self.detail = "failed", str(error)
            log.error("❌ %s cannot be run: %s", model, error)  # noqa: TRY400 - its words are enough
            return
        self.state, self.detail = "ready", ""
        log.info("✅ Ready to receive AI requests from smart server")

    def _tell(self, step: str) -> None:
        self.detail = step

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetching
