"""A worker that refuses new calls when it is told to stop, and stays registered until its last call ends.

Must be caught by check `infer_result`, in step "nobody is turned away by a worker that is leaving".
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mock_services.planting import defective
from system.worker import program, serving
from system.worker.config import WorkerConfig

registered = serving.registered
kept: list[Any] = []


@asynccontextmanager
async def to_the_end(
    config: WorkerConfig, port: int, capabilities: Sequence[Mapping[str, Any]]
) -> AsyncIterator[None]:
    """The end of the process ends the registration."""
    kept.append(registered(config, port, capabilities))
    await kept[-1].__aenter__()
    yield


PROGRAM = defective(program.PROGRAM, __doc__, {(serving, "registered"): to_the_end})
