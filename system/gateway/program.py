"""`python -m system gateway`: the gateway in one process, or in several on one port."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from system.component import Program, Serving
from system.gateway.logs import set_up_gateway_logging
from system.gateway.processes import processes
from system.gateway.service import Service
from system.gateway.settings import GatewayConfig
from system.http_server import http_server

__all__ = ["PROGRAM", "GatewayConfig", "gateway", "serve"]

FAREWELL = 1.0  # seconds in which clients are told to leave the connections that they keep


@asynccontextmanager
async def serve(config: GatewayConfig) -> AsyncIterator[Serving]:
    """A running gateway: listening on enter, drained on leave."""
    set_up_gateway_logging(config.log_level, config.log_format)
    Service(config, os.environ)  # whatever is mistaken is told here, once, whatever the number of processes
    async with processes(config) if config.workers > 1 else gateway(config) as serving:
        yield serving


@asynccontextmanager
async def gateway(config: GatewayConfig, *, listener: socket.socket | None = None) -> AsyncIterator[Serving]:
    """One process of a gateway, on a listener of its own or on the one that is given."""
    set_up_gateway_logging(config.log_level, config.log_format)
    service = Service(config, os.environ)
    # the service guards itself: it has more pages than one that probes may see
    bare = replace(config, token_file=None)
    async with service.running(), http_server(service, bare, listener=listener, farewell=FAREWELL) as serving:
        yield serving


PROGRAM = Program(
    name="gateway",
    about="A front for paid providers that fails over between them, for HTTP and OpenAI clients.",
    config=GatewayConfig,
    serve=serve,
)
