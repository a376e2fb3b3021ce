"""A worker that is off by one in one result of fifty.

Must be caught by check `infer_result`, in step "products are numpy's".
"""

from itertools import count
from typing import Any

from mock_services.planting import defective
from system.tensors import Tensor
from system.worker import calls, program
from system.worker.binding import collect as right

answered = count(1)


def sometimes_wrong(outputs: Any, result: Any) -> dict[str, Tensor]:
    """The last element of the first output is one too many."""
    tensors = right(outputs, result)
    if next(answered) % 50 == 0:
        name, tensor = next(iter(tensors.items()))
        array = tensor.array.copy()
        array[..., -1] += array.dtype.type(1)
        tensors[name] = Tensor(tensor.datatype, array)
    return tensors


PROGRAM = defective(program.PROGRAM, __doc__, {(calls, "collect"): sometimes_wrong})
