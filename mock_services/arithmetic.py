"""A worker whose results anybody can check: one handler for each way in which tensors come and go.

`python -m system worker mock_services.arithmetic:worker` serves it.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from system.worker import Outputs, Worker, bfloat16

worker = Worker(name="arithmetic")
Answer = dict[str, Any]


@worker.capability(type="add")
def add(a: NDArray[np.int64], b: NDArray[np.int64]) -> Annotated[Answer, Outputs(total=np.int64)]:
    """Whole numbers, element by element."""
    return {"total": a + b}


@worker.capability(type="scale")
def scale(x: NDArray[np.float32], by: NDArray[np.float64]) -> Annotated[Answer, Outputs(y=np.float32)]:
    """What numpy makes of both is float64: it is cast to what is declared."""
    return {"y": x * by}


@worker.capability(type="matmul", precision="double")
def matmul(a: NDArray[np.float64], b: NDArray[np.float64]) -> Annotated[Answer, Outputs(product=np.float64)]:
    """Of two dimensions."""
    return {"product": a @ b}


@worker.capability(type="turn")
def turn(x: np.ndarray) -> Answer:
    """Any datatype; what it returns is a view whose elements do not lie in its order."""
    return {"x": x.T}


@worker.capability(type="halve")
def halve(
    x: NDArray[np.float16], z: NDArray[bfloat16]
) -> Annotated[Answer, Outputs(x=np.float16, z=bfloat16)]:
    """Of the datatypes that only travel raw."""
    return {"x": x / 2, "z": z / 2}


@worker.capability(type="shout")
def shout(text: NDArray[np.object_]) -> Annotated[Answer, Outputs(text=np.object_, length=np.int32)]:
    """BYTES."""
    return {"text": np.char.upper(text.astype(bytes)).astype(object), "length": np.vectorize(len)(text)}


@worker.capability(type="agree")
def agree(a: NDArray[np.bool], b: NDArray[np.bool]) -> Annotated[Answer, Outputs(both=np.bool)]:
    """Truths."""
    return {"both": a & b}


@worker.capability(type="divide-exactly")
def divide_exactly(a: NDArray[np.int32], b: NDArray[np.int32]) -> Annotated[Answer, Outputs(q=np.int32)]:
    """Raises for a divisor of 0."""
    if not b.all():
        msg = "division by zero"
        raise ZeroDivisionError(msg)
    return {"q": a // b}


@worker.capability(type="count")
def count(start: NDArray[np.int32]) -> Iterator[Annotated[Answer, Outputs(value=np.int32)]]:
    """A stream of five answers."""
    for step in range(5):
        yield {"value": start + np.int32(step)}


@worker.capability(type="slow-add")
async def slow_add(a: NDArray[np.int32], b: NDArray[np.int32]) -> Annotated[Answer, Outputs(total=np.int32)]:
    """Takes a second, and leaves the loop to others meanwhile."""
    await asyncio.sleep(1.0)
    return {"total": a + b}


@worker.capability(type="busy-add")
def busy_add(a: NDArray[np.int32], b: NDArray[np.int32]) -> Annotated[Answer, Outputs(total=np.int32)]:
    """Takes 5 ms of a thread."""
    time.sleep(0.005)
    return {"total": a + b}
