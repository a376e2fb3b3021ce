"""A worker with one place for the answers of all calls: those that run at the same time get each other's.

Must be caught by check `infer_result`, in step "calls that run at the same time get their own answers".
"""

import asyncio

from mock_services.planting import defective
from system.tensors import Tensor
from system.worker import program
from system.worker.calls import Call, Calls

own = Calls.whole
latest: dict[str, dict[str, Tensor]] = {}


async def shared(self: Calls, call: Call) -> dict[str, Tensor]:
    """Put there when it is computed, taken from there a millisecond later."""
    latest[call.capability.name] = await own(self, call)
    await asyncio.sleep(0.001)
    return latest[call.capability.name]


PROGRAM = defective(program.PROGRAM, __doc__, {(Calls, "whole"): shared})
