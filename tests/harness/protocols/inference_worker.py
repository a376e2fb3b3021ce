"""A worker that answers as it is told, byte by byte, for tests of what speaks to workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from harness.protocols.inference_pb2 import (
    InferTensor,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
    ServerReadyResponse,
)

Answer = Callable[[ModelInferRequest, Any], Awaitable[ModelInferResponse | bytes]]


def response(
    request: ModelInferRequest, *outputs: InferTensor, raw: Sequence[bytes] = ()
) -> ModelInferResponse:
    """The answer to a request."""
    return ModelInferResponse(
        model_name=request.model_name, id=request.id, outputs=outputs, raw_output_contents=raw
    )


async def mirrored(request: ModelInferRequest, rpc: Any) -> ModelInferResponse:
    """Inputs as outputs, in the form in which they came."""
    del rpc
    return response(request, *request.inputs, raw=request.raw_input_contents)


def refusing(code: grpc.StatusCode, text: str) -> Answer:
    """A worker that refuses every call."""

    async def answer(_: ModelInferRequest, rpc: Any) -> ModelInferResponse:
        await rpc.abort(code, text)
        raise AssertionError

    return answer


class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg] # generic only in its stubs
    """The calls of a worker, by hand; `asked` are the requests that it has seen."""

    def __init__(
        self, answer: Answer, streamed: Sequence[ModelInferResponse | str] = (), ready: bool = True
    ) -> None:
        self.answer = answer
        self.streamed = streamed
        self.ready = ready
        self.asked: list[ModelInferRequest] = []
        self.metadata: list[dict[str, str]] = []

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        return {
            "ModelInfer": grpc.unary_unary_rpc_method_handler(self._infer),
            "ModelStreamInfer": grpc.unary_stream_rpc_method_handler(self._stream),
            "ServerReady": grpc.unary_unary_rpc_method_handler(self._ready),
        }.get(name)

    async def _infer(self, data: bytes, rpc: Any) -> bytes:
        request = ModelInferRequest.FromString(data)
        self.asked.append(request)
        self.metadata.append(dict(rpc.invocation_metadata()))
        answer = await self.answer(request, rpc)
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    async def _stream(self, data: bytes, rpc: Any) -> AsyncIterator[bytes]:
        self.asked.append(ModelInferRequest.FromString(data))
        for one in self.streamed:
            message = (
                ModelStreamInferResponse(error_message=one)
                if isinstance(one, str)
                else ModelStreamInferResponse(infer_response=one)
            )
            yield message.SerializeToString()

    async def _ready(self, data: bytes, rpc: Any) -> bytes:
        return ServerReadyResponse(ready=self.ready).SerializeToString()


@asynccontextmanager
async def serving(handler: Handler, address: str = "127.77.12.1") -> AsyncIterator[str]:
    """Serve on a free port; yields `host:port`."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port(f"{address}:0")
    await server.start()
    try:
        yield f"{address}:{port}"
    finally:
        await server.stop(None)
