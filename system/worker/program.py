"""`python -m system worker MODULE:ATTR`: handlers on a port, kept registered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from system.component import Program, Serving
from system.worker.config import WorkerConfig


@asynccontextmanager
async def serve(config: WorkerConfig) -> AsyncIterator[Serving]:
    from system.worker.serving import serving

    async with serving(config) as started:
        yield started


PROGRAM = Program(
    name="worker",
    about="Serves the handlers of a worker over gRPC and keeps it registered.",
    config=WorkerConfig,
    serve=serve,
)
