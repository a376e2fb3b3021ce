"""`python -m system balancer`: gives nodes a model each, and asks them; gRPC for them, HTTP for users."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from system.balancer.settings import BalancerConfig
from system.component import Program, Serving


@asynccontextmanager
async def serve(config: BalancerConfig) -> AsyncIterator[Serving]:
    from system.balancer.serving import serving

    async with serving(config) as started:
        yield started


PROGRAM = Program(
    name="balancer",
    about="Gives every node the model it can carry, asks them, and makes one answer of all.",
    config=BalancerConfig,
    serve=serve,
)
