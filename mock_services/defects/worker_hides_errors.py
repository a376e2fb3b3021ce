"""A worker that answers OK without any output when its handler raises.

Must be caught by check `infer_result`, in step "a handler that raises is an error that says why".
"""

import logging

from mock_services.planting import defective
from system.tensors import Tensor
from system.worker import program
from system.worker.calls import Call, Calls

log = logging.getLogger("worker")
whole = Calls.whole


async def silent(self: Calls, call: Call) -> dict[str, Tensor]:
    """Whatever goes wrong is for the log."""
    try:
        return await whole(self, call)
    except Exception:
        log.exception("%s failed", call.capability.name)
        return {}


PROGRAM = defective(program.PROGRAM, __doc__, {(Calls, "whole"): silent})
