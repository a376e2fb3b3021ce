"""`python -m system gateway`: the gateway in one process, or in several on one port."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from system.component import Program, Serving
from system.gateway.logs import set_up_gateway_logging
from system.gateway.service import Service
from system.gateway.settings import GatewayConfig
from system.http_server import http_server

__all__ = ["PROGRAM", "GatewayConfig", "gateway", "serve"]


@asynccontextmanager
async def serve(config: GatewayConfig) -> AsyncIterator[Serving]:
    """A running gateway: listening on enter, drained on leave."""
    async with gateway(config) as serving:
        yield serving


@asynccontextmanager
async def gateway(config: GatewayConfig, *, reuse_port: bool = False) -> AsyncIterator[Serving]:
    """One process of a gateway."""
    set_up_gateway_logging(config.log_level, config.log_format)
    service = Service(config, os.environ)
    # the service guards itself: it has more pages than one that probes may see
    bare = replace(config, token_file=None)
    async with service.running(), http_server(service, bare, reuse_port=reuse_port) as serving:
        yield serving


PROGRAM = Program(
    name="gateway",
    about="A front for paid providers that fails over between them, for HTTP and OpenAI clients.",
    config=GatewayConfig,
    serve=serve,
)
