"""A worker that sends an array's elements as they lie in memory, which of a transposed one is another order.

Must be caught by check `infer_result`, in step "an array whose elements lie in another order is answered in
the right one".
"""

from typing import Any

from mock_services.planting import defective
from system.tensors import Tensor
from system.worker import calls, program
from system.worker.binding import collect as right


def as_it_lies(outputs: Any, result: Any) -> dict[str, Tensor]:
    """The shape is right, the order is memory's."""
    return {
        name: Tensor(tensor.datatype, tensor.array.ravel(order="K").reshape(tensor.array.shape))
        for name, tensor in right(outputs, result).items()
    }


PROGRAM = defective(program.PROGRAM, __doc__, {(calls, "collect"): as_it_lies})
