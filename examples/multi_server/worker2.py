"""Worker 2 of the example: divides FP32 tensors, and raises an FP32 base to an INT32 exponent."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from system.worker import Outputs, Worker

worker = Worker()


@worker.capability(type="divide")
def divide(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> Annotated[dict[str, Any], Outputs(quotient=np.float32)]:
    """Element by element."""
    return {"quotient": a / b}


@worker.capability(type="power")
def power(
    base: NDArray[np.float32], exp: NDArray[np.int32]
) -> Annotated[dict[str, Any], Outputs(result=np.float32)]:
    """Element by element; numpy's float64 is cast to what is declared."""
    return {"result": base**exp}
