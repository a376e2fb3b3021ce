"""`python -m system babysitter`: one backend, its babysitter, and both their names at the registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from system.babysitter.config import BabysitterConfig
from system.component import Program, Serving


@asynccontextmanager
async def serve(config: BabysitterConfig) -> AsyncIterator[Serving]:
    from system.babysitter.babysitter import babysitter

    async with babysitter(config) as serving:
        yield serving


PROGRAM = Program(
    name="babysitter",
    about="Runs one model backend and keeps it registered.",
    config=BabysitterConfig,
    serve=serve,
)
