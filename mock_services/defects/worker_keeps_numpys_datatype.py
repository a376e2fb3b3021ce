"""A worker that answers with the datatype that numpy computed in, rather than with the declared one.

Must be caught by check `infer_result`, in step "powers are FP32, though numpy's are FP64".
"""

from typing import Any

import numpy as np

from mock_services.planting import defective
from system.datatypes import datatype_of
from system.tensors import Tensor
from system.worker import calls, program


def as_computed(outputs: Any, result: Any) -> dict[str, Tensor]:
    """What was declared is forgotten."""
    del outputs
    arrays = {name: np.asarray(value) for name, value in result.items()}
    return {name: Tensor(datatype_of(array.dtype).name, array) for name, array in arrays.items()}


PROGRAM = defective(program.PROGRAM, __doc__, {(calls, "collect"): as_computed})
