"""A worker that computes nothing itself: it calls others, as an application does that has the shipped client.

`python -m system worker mock_services.caller:worker` serves it; `API_SERVER` names the registry it asks.
"""

import os
from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from system.client.aio import AsyncClient
from system.worker import Context, Outputs, Worker

worker = Worker(name="caller")
Answer = dict[str, Any]


@cache
def client() -> AsyncClient:
    """One for all calls: it keeps the replica that it has found."""
    return AsyncClient(api_server=os.environ["API_SERVER"], capability={"type": "busy-add"})


@worker.capability(type="add-elsewhere")
async def add_elsewhere(
    a: NDArray[np.int32], b: NDArray[np.int32], context: Context
) -> Annotated[Answer, Outputs(total=np.int32)]:
    """By a client of its own."""
    return await client().infer("busy-add", {"a": a, "b": b}, timeout=context.time_remaining)


@worker.capability(type="add-by-context")
def add_by_context(
    a: NDArray[np.int32], b: NDArray[np.int32], context: Context
) -> Annotated[Answer, Outputs(total=np.int32)]:
    """By what every handler is given."""
    return context.call("busy-add", {"a": a, "b": b}, capability={"type": "busy-add"})
