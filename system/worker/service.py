"""The calls of `inference.GRPCInferenceService`, answered by a worker's handlers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from system.datatypes import TensorError
from system.proto.inference_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ModelStreamInferResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from system.tensors import Tensor, joined, parse, read, write
from system.worker.binding import BadInput, BadOutput, chosen
from system.worker.calls import Call, Calls, HandlerError
from system.worker.capabilities import Capability, UnknownModel
from system.worker.context import Context
from system.worker.declared import Spec
from system.worker.identity import Identity
from system.worker.worker import Worker

log = logging.getLogger("worker")

SERVICE = "inference.GRPCInferenceService"
Code = grpc.StatusCode
LEAVING = "this worker is about to leave; discover another"


class Refused(Exception):
    """A call that ends with a status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class InferenceService:
    """Answers calls; `most` of them at a time."""

    def __init__(self, worker: Worker, calls: Calls, identity: Identity, most: int) -> None:
        self._worker = worker
        self._capabilities = worker.capabilities
        self._calls = calls
        self._identity = identity
        self._most = most
        self.ready = True
        self.running = 0

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """What a server is given. Calls that carry tensors come and go as bytes: see system.tensors."""
        unary = grpc.unary_unary_rpc_method_handler
        plain: dict[str, tuple[Callable[..., Any], Any, Any]] = {
            "ServerLive": (self.server_live, ServerLiveRequest, ServerLiveResponse),
            "ServerReady": (self.server_ready, ServerReadyRequest, ServerReadyResponse),
            "ModelReady": (self.model_ready, ModelReadyRequest, ModelReadyResponse),
            "ServerMetadata": (self.server_metadata, ServerMetadataRequest, ServerMetadataResponse),
            "ModelMetadata": (self.model_metadata, ModelMetadataRequest, ModelMetadataResponse),
        }
        methods = {
            name: unary(call, asked.FromString, answer.SerializeToString)
            for name, (call, asked, answer) in plain.items()
        }
        methods["ModelInfer"] = unary(self.model_infer)
        methods["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self.model_stream_infer)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def server_live(self, request: ServerLiveRequest, rpc: Any) -> ServerLiveResponse:
        return ServerLiveResponse(live=True)

    async def server_ready(self, request: ServerReadyRequest, rpc: Any) -> ServerReadyResponse:
        return ServerReadyResponse(ready=self.ready)

    async def model_ready(self, request: ModelReadyRequest, rpc: Any) -> ModelReadyResponse:
        try:
            self._capabilities.find(request.name, request.version)
        except UnknownModel:
            return ModelReadyResponse(ready=False)
        return ModelReadyResponse(ready=self.ready)

    async def server_metadata(self, request: ServerMetadataRequest, rpc: Any) -> ServerMetadataResponse:
        return ServerMetadataResponse(
            name=self._worker.name, version=self._worker.version, extensions=["model_stream_infer"]
        )

    async def model_metadata(self, request: ModelMetadataRequest, rpc: Any) -> ModelMetadataResponse:
        try:
            capability = self._capabilities.find(request.name, request.version)
        except UnknownModel as error:
            await rpc.abort(Code.NOT_FOUND, str(error))
            raise AssertionError from None  # abort has raised
        versions = [one.version for one in self._capabilities.named(request.name) if one.version]
        signature = capability.signature
        return ModelMetadataResponse(
            name=request.name,
            versions=versions or [self._worker.version],
            platform="muster",
            inputs=_described(signature.inputs.items() if signature else ()),
            outputs=_described((signature.outputs or {}).items() if signature else ()),
        )

    async def model_infer(self, data: bytes, rpc: Any) -> bytes:
        try:
            if self.running >= self._most or not self.ready:
                self._refuse()
            self.running += 1
            try:
                return await self._infer(data, rpc)
            finally:
                self.running -= 1
        except Refused as refused:
            await rpc.abort(refused.code, str(refused))
            raise AssertionError from None  # abort has raised

    async def _infer(self, data: bytes, rpc: Any) -> bytes:
        request, raws, capability, call = self._read(data, rpc, streams=False)
        if capability.streams:
            msg = f"Model '{capability.name}' streams its answers: call ModelStreamInfer"
            raise Refused(Code.UNIMPLEMENTED, msg)
        try:
            outputs = await self._calls.whole(call)
        except asyncio.CancelledError:
            call.context.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever the handler raises
            raise _failed(capability, error) from None
        response, raw_outputs = _response(request, outputs, raw=bool(raws))
        return joined(response, raw_outputs)

    async def model_stream_infer(self, requests: AsyncIterator[bytes], rpc: Any) -> AsyncIterator[bytes]:
        async for data in requests:
            if not self.ready:
                await rpc.abort(Code.UNAVAILABLE, LEAVING)
            if self.running >= self._most:
                await rpc.abort(Code.RESOURCE_EXHAUSTED, self._too_many())
            self.running += 1
            try:
                async for response in self._streamed(data, rpc):
                    yield ModelStreamInferResponse(infer_response=response).SerializeToString()
            except Refused as refused:
                yield ModelStreamInferResponse(error_message=str(refused)).SerializeToString()
            finally:
                self.running -= 1

    async def _streamed(self, data: bytes, rpc: Any) -> AsyncIterator[ModelInferResponse]:
        request, raws, capability, call = self._read(data, rpc, streams=True)
        try:
            if not capability.streams:
                yield _whole(request, await self._calls.whole(call), raw=bool(raws))
                return
            async for outputs in self._calls.streamed(call):
                yield _whole(request, outputs, raw=bool(raws))
        except (asyncio.CancelledError, GeneratorExit):
            call.context.cancel()
            raise
        except Refused:
            raise
        except HandlerError as error:
            raise Refused(Code.INTERNAL, str(error)) from None
        except Exception as error:  # noqa: BLE001 - whatever the handler raises
            refused = _failed(capability, error)
            raise Refused(refused.code, f"Error in stream handler: {refused}") from None

    def _read(
        self, data: bytes, rpc: Any, *, streams: bool
    ) -> tuple[ModelInferRequest, bool, Capability, Call]:
        try:
            request, raws = parse(ModelInferRequest, data)
            capability = self._capabilities.find(request.model_name, request.model_version, streams=streams)
            tensors = read("input", request.inputs, raws)
            remaining = rpc.time_remaining() if capability.takes_context else None
            context = Context(self._identity, capability.attributes, remaining)
            return request, bool(raws), capability, Call(capability, context, request, tensors)
        except UnknownModel as error:
            raise Refused(Code.NOT_FOUND, str(error)) from None
        except (TensorError, BadInput) as error:
            raise Refused(Code.INVALID_ARGUMENT, str(error)) from None
        except DecodeError as error:
            raise Refused(Code.INVALID_ARGUMENT, f"not a ModelInferRequest: {error}") from None

    def _refuse(self) -> NoReturn:
        if not self.ready:
            raise Refused(Code.UNAVAILABLE, LEAVING)
        raise Refused(Code.RESOURCE_EXHAUSTED, self._too_many())

    def _too_many(self) -> str:
        return f"{self.running} calls are in progress, and the limit is {self._most} (--max-concurrency)"


def _failed(capability: Capability, error: Exception) -> Refused:
    """What a caller is told of a handler's failure; the trace is for the log."""
    if isinstance(error, BadInput):
        return Refused(Code.INVALID_ARGUMENT, str(error))
    if isinstance(error, BadOutput | HandlerError):
        log.error("%s: %s", capability.name, error)
        return Refused(Code.INTERNAL, str(error))
    log.error("%s failed: %s", capability.name, error, exc_info=error)
    return Refused(Code.INTERNAL, f"{type(error).__name__}: {error}")


def _response(
    request: ModelInferRequest, outputs: dict[str, Tensor], *, raw: bool
) -> tuple[ModelInferResponse, list[Any]]:
    response = ModelInferResponse(
        model_name=request.model_name, model_version=request.model_version, id=request.id
    )
    try:
        if request.outputs:
            outputs = chosen(outputs, [output.name for output in request.outputs])
        return response, write(response, outputs, raw=raw)
    except BadInput as error:
        raise Refused(Code.INVALID_ARGUMENT, str(error)) from None
    except TensorError as error:
        raise Refused(Code.INTERNAL, f"the handler's output: {error}") from None


def _whole(request: ModelInferRequest, outputs: dict[str, Tensor], *, raw: bool) -> ModelInferResponse:
    response, raws = _response(request, outputs, raw=raw)
    response.raw_output_contents.extend(bytes(one) for one in raws)
    return response


def _described(specs: Iterable[tuple[str, Spec]]) -> list[ModelMetadataResponse.TensorMetadata]:
    return [
        ModelMetadataResponse.TensorMetadata(
            name=name, datatype=spec.datatype or "", shape=spec.shape if spec.shape is not None else [-1]
        )
        for name, spec in specs
    ]
