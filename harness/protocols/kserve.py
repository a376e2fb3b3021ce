"""The Open Inference Protocol (KServe v2) over gRPC: calls of a worker, and tensors in its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from harness.hosts.relay import near
from harness.protocols.base import ViewFailed
from harness.protocols.inference_pb2 import (
    InferTensor,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from harness.tensors import DATATYPES, Tensor, TensorError, datatype, from_raw, from_values, to_raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

SERVICE = "/inference.GRPCInferenceService/"
MODEL_INFER = f"{SERVICE}ModelInfer"
MODEL_STREAM_INFER = f"{SERVICE}ModelStreamInfer"
AS_BYTES = (None, None)
"""Neither a serializer nor a parser: messages come and go as bytes."""
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # which is also how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 500),
)
"""A connection of its own, no limits that the worker has not set, and soon a new look at who was away."""


def channel_to(endpoint: str) -> grpc.aio.Channel:
    """A channel to `host:port`; it connects when it is used."""
    return grpc.aio.insecure_channel(near(endpoint), options=_OPTIONS)


def endpoint_of(url: str) -> str:
    """`grpc://127.0.0.1:50051` -> `127.0.0.1:50051`."""
    return urlsplit(url).netloc or url


def request_of(
    model: str, version: str, request_id: str, inputs: Mapping[str, Tensor], *, raw: bool
) -> bytes:
    """A ModelInferRequest. One input of a datatype that has no typed contents makes all of them raw."""
    request = ModelInferRequest(model_name=model, model_version=version, id=request_id)
    raw = raw or any(not DATATYPES[tensor.datatype].field for tensor in inputs.values())
    for name, tensor in inputs.items():
        shape = list(tensor.array.shape)
        added = request.inputs.add(name=name, datatype=tensor.datatype, shape=shape)
        if raw:
            request.raw_input_contents.append(to_raw(tensor))
        else:
            values = tensor.array.ravel().tolist()
            getattr(added.contents, DATATYPES[tensor.datatype].field).extend(values)
    return request.SerializeToString()


def outputs_of(data: bytes, request_id: str) -> dict[str, Tensor]:
    """The outputs of a ModelInferResponse; raises TensorError for one that does not keep to the protocol."""
    return _outputs(_parsed(ModelInferResponse, data), request_id)


def streamed_outputs_of(data: bytes, request_id: str) -> dict[str, Tensor] | str:
    """The outputs of a ModelStreamInferResponse, or the error that it is; raises TensorError."""
    answer = _parsed(ModelStreamInferResponse, data)
    return answer.error_message or _outputs(answer.infer_response, request_id)


def _parsed(kind: Callable[[], Any], data: bytes) -> Any:
    message: Message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        msg = f"the answer is no {type(message).__name__}: {error}"
        raise TensorError(msg) from None
    return message


def _outputs(response: ModelInferResponse, request_id: str) -> dict[str, Tensor]:
    if response.id not in ("", request_id):
        msg = f"the answer belongs to another call: its id is {response.id}"
        raise TensorError(msg)
    raws = list(response.raw_output_contents)
    if raws and len(raws) != len(response.outputs):
        msg = f"the answer has {len(raws)} raw contents for {len(response.outputs)} outputs"
        raise TensorError(msg)
    found: dict[str, Tensor] = {}
    for position, output in enumerate(response.outputs):
        if output.name in found:
            msg = f"output {output.name} is given twice"
            raise TensorError(msg)
        try:
            found[output.name] = _tensor(output, raws[position] if raws else None)
        except TensorError as error:
            msg = f"output {output.name}: {error}"
            raise TensorError(msg) from None
    return found


def _tensor(output: InferTensor, raw: bytes | None) -> Tensor:
    filled = [field.name for field, _ in output.contents.ListFields()]
    if raw is not None:
        if filled:
            msg = "contents and raw contents are both given"
            raise TensorError(msg)
        return from_raw(output.datatype, output.shape, raw)
    field = datatype(output.datatype).field
    if [name for name in filled if name != field]:
        msg = f"{output.datatype} belongs into {field or 'raw contents'}, but {', '.join(filled)} is filled"
        raise TensorError(msg)
    values: Sequence[Any] = getattr(output.contents, field) if field else ()
    return from_values(output.datatype, output.shape, values)


@asynccontextmanager
async def channels() -> AsyncIterator[Callable[[str], grpc.aio.Channel]]:
    """One channel for each endpoint that is asked for; all are closed at the end."""
    opened: dict[str, grpc.aio.Channel] = {}

    def channel(endpoint: str) -> grpc.aio.Channel:
        if endpoint not in opened:
            opened[endpoint] = channel_to(endpoint)
        return opened[endpoint]

    try:
        yield channel
    finally:
        for one in opened.values():
            await one.close(None)


class KServe:
    """A worker of the Open Inference Protocol: whether it takes calls."""

    views: Mapping[str, str] = {"health": f"{SERVICE}ServerReady"}

    async def look(self, client: httpx.AsyncClient, url: str, view: str) -> Any:
        """Ask ServerReady: status 200 where it is, 503 where it says that it is not."""
        within = client.timeout.read
        async with channel_to(endpoint_of(url)) as channel:
            call = channel.unary_unary(self.views[view], *AS_BYTES)
            try:
                data = await call(ServerReadyRequest().SerializeToString(), timeout=within)
            except grpc.aio.AioRpcError as error:
                msg = f"{url} answered {error.code().name}: {error.details()}; does a worker run there?"
                raise ViewFailed(msg) from error
        ready = ServerReadyResponse.FromString(data).ready
        return {"status": 200 if ready else 503, "body": {"ready": ready}}
