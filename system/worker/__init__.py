"""Workers: `from system.worker import Worker, Outputs`; `python -m system worker MODULE:ATTR` serves one."""

from system.worker.binding import BadInput
from system.worker.context import Context, Stream
from system.worker.declared import DeclarationError, Outputs, Shape, bfloat16
from system.worker.messages import (
    InferInputTensor,
    InferOutputTensor,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
)
from system.worker.worker import Worker

__all__ = [
    "BadInput",
    "Context",
    "DeclarationError",
    "InferInputTensor",
    "InferOutputTensor",
    "InferTensorContents",
    "ModelInferRequest",
    "ModelInferResponse",
    "Outputs",
    "Shape",
    "Stream",
    "Worker",
    "bfloat16",
]
