"""A worker whose streams end well after three answers, however many there are.

Must be caught by check `infer_result`, in step "a stream brings all of its answers, in order".
"""

from collections.abc import AsyncIterator

from mock_services.planting import defective
from system.tensors import Tensor
from system.worker import program
from system.worker.calls import Call, Calls

streamed = Calls.streamed


async def three(self: Calls, call: Call) -> AsyncIterator[dict[str, Tensor]]:
    """The first three."""
    sent = 0
    async for answer in streamed(self, call):
        yield answer
        sent += 1
        if sent == 3:
            return


PROGRAM = defective(program.PROGRAM, __doc__, {(Calls, "streamed"): three})
