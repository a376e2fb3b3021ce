"""Workers served inside the test's own loop, and raw calls to them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from system.proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from system.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from system.worker import Worker
from system.worker.config import WorkerConfig
from system.worker.serving import serving

ADDRESS = "127.77.10.1"
DEADLINE = 30.0


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop of its own, not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await test

    asyncio.run(bounded())


@asynccontextmanager
async def served(worker: Worker, **options: Any) -> AsyncIterator[str]:
    """A worker on a free port; gives its HOST:PORT."""
    settings: dict[str, Any] = {"app": "", "host": ADDRESS, "port": 0, "drain": 1.0, "linger": 0.0}
    async with serving(WorkerConfig(**(settings | options)), worker) as started:
        yield started.url.partition("://")[2]


@asynccontextmanager
async def stub_of(endpoint: str) -> AsyncIterator[Any]:
    """The generated client."""
    async with grpc.aio.insecure_channel(endpoint) as channel:
        yield GRPCInferenceServiceStub(channel)


def tensor(name: str, datatype: str, shape: list[int], **contents: Any) -> Any:
    return ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=contents or None
    )


def request(model: str, *inputs: Any, **fields: Any) -> ModelInferRequest:
    return ModelInferRequest(model_name=model, inputs=inputs, **fields)


def ints(response: ModelInferResponse) -> dict[str, list[int]]:
    return {output.name: list(output.contents.int_contents) for output in response.outputs}


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status that a call ends with."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    msg = f"it was answered: {answer}"
    raise AssertionError(msg)
