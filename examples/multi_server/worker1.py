"""Worker 1 of the example: multiplies two INT32 tensors."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from system.worker import Outputs, Worker

worker = Worker()


@worker.capability(type="multiply")
def multiply(
    a: NDArray[np.int32], b: NDArray[np.int32]
) -> Annotated[dict[str, Any], Outputs(product=np.int32)]:
    """Element by element."""
    return {"product": a * b}
