"""`python -m system node --server HOST:50051`: this machine, at a balancer's service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from system.component import Program, Serving
from system.node.config import NodeConfig


@asynccontextmanager
async def serve(config: NodeConfig) -> AsyncIterator[Serving]:
    from system.node.serving import serving

    async with serving(config) as started:
        yield started


PROGRAM = Program(
    name="node",
    about="Measures this machine, runs the model that a balancer assigns to it, and answers questions.",
    config=NodeConfig,
    serve=serve,
)
