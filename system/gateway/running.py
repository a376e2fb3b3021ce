"""An engine with everything it needs, as an async context manager: providers and breakers."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from system.gateway.breakers import BreakerSettings, SyncSettings, opened
from system.gateway.engine import Engine
from system.gateway.pacing import Pacer
from system.gateway.providers import ProviderSettings, make
from system.gateway.settings import GatewayConfig, read_sync
from system.gateway.strategies import Options
from system.gateway.transport import LineTransport


def breaker_settings(
    config: GatewayConfig, providers: Sequence[ProviderSettings], sync: SyncSettings
) -> BreakerSettings:
    """What the breakers are told."""
    return BreakerSettings(
        providers=tuple(one.name for one in providers),
        strategy=config.strategy,
        options=Options(
            threshold=config.threshold,
            window=config.window,
            min_volume=config.min_volume,
            failure_share=config.failure_share,
            slow_share=config.slow_share,
            slow_after=config.slow_after,
        ),
        recovery=config.recovery,
        sync=sync,
    )


@asynccontextmanager
async def engine_of(config: GatewayConfig, providers: Sequence[ProviderSettings]) -> AsyncIterator[Engine]:
    """Entered when it may be asked, left when every connection is closed."""
    sync = read_sync(config, os.environ)
    async with opened(breaker_settings(config, providers, sync)) as breakers:
        pacer = Pacer()
        engine = Engine([make(one, LineTransport(pacer)) for one in providers], breakers, pacer)
        try:
            yield engine
        finally:
            await engine.close()
