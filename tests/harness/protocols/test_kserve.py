"""The Open Inference Protocol, as the harness writes and reads it."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest

from harness.protocols.base import ViewFailed
from harness.protocols.inference_pb2 import (
    InferTensor,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from harness.protocols.kserve import KServe, endpoint_of, outputs_of, request_of, streamed_outputs_of
from harness.tensors import Tensor, TensorError
from system.proto import inference_pb2 as public
from tests.harness.protocols.inference_worker import Handler, mirrored, serving

A = Tensor("INT32", np.array([[1, -2]], np.int32))
HALF = Tensor("FP16", np.array([0.5], np.float16))


def answer(*outputs: InferTensor, raw: tuple[bytes, ...] = (), request_id: str = "r") -> bytes:
    response = ModelInferResponse(id=request_id, outputs=outputs, raw_output_contents=raw)
    return response.SerializeToString()


def contents(**fields: Any) -> InferTensorContents:
    return InferTensorContents(**fields)


def test_a_request_is_what_others_read() -> None:
    """The system's own messages of the protocol understand it, raw and typed."""
    for raw in (True, False):
        asked = public.ModelInferRequest.FromString(request_of("m", "2", "r", {"a": A}, raw=raw))
        (tensor,) = asked.inputs
        assert (asked.model_name, asked.model_version, asked.id) == ("m", "2", "r")
        assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("a", "INT32", [1, 2])
        assert list(tensor.contents.int_contents) == ([] if raw else [1, -2])
        assert list(asked.raw_input_contents) == ([A.array.tobytes()] if raw else [])


def test_one_input_without_typed_contents_makes_all_raw() -> None:
    """FP16 has none; the protocol has one form a message."""
    asked = ModelInferRequest.FromString(request_of("m", "", "r", {"a": A, "h": HALF}, raw=False))
    assert len(asked.raw_input_contents) == 2
    assert not asked.inputs[0].HasField("contents")


def test_outputs_are_read_raw_and_typed() -> None:
    """By name, in their shapes."""
    raw = answer(InferTensor(name="y", datatype="INT32", shape=[1, 2]), raw=(A.array.tobytes(),))
    typed = answer(
        InferTensor(name="y", datatype="BYTES", shape=[1], contents=contents(bytes_contents=[b"x"]))
    )
    assert outputs_of(raw, "r")["y"].array.tolist() == [[1, -2]]
    assert outputs_of(typed, "r")["y"].array.tolist() == [b"x"]
    assert outputs_of(answer(request_id=""), "r") == {}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xff", "no ModelInferResponse"),
        (answer(request_id="other"), "belongs to another call: its id is other"),
        (
            answer(InferTensor(name="y", datatype="INT32", shape=[1]), raw=(b"1234", b"1")),
            "2 raw contents for 1",
        ),
        (answer(InferTensor(name="y", datatype="INT32", shape=[1]), raw=(b"123",)), "output y: 3 bytes"),
        (answer(InferTensor(name="y", datatype="INT32", shape=[1])), "output y: 0 values"),
        (answer(InferTensor(name="y", datatype="FP16", shape=[1])), "output y: 0 values"),
        (answer(InferTensor(name="y", datatype="int", shape=[1])), "output y: there is no datatype 'int'"),
        (
            answer(InferTensor(name="y", datatype="FP32", shape=[1], contents=contents(int_contents=[1]))),
            "belongs into fp32_contents, but int_contents is filled",
        ),
        (
            answer(
                InferTensor(name="y", datatype="INT8", shape=[1], contents=contents(int_contents=[1])),
                raw=(b"1",),
            ),
            "both given",
        ),
        (
            answer(*[InferTensor(name="y", datatype="INT8", shape=[0])] * 2),
            "output y is given twice",
        ),
    ],
)
def test_an_answer_that_is_none_is_told(data: bytes, says: str) -> None:
    """Whatever does not keep to the protocol, by the output's name."""
    with pytest.raises(TensorError, match=says):
        outputs_of(data, "r")


def test_an_answer_of_a_stream_is_outputs_or_an_error() -> None:
    """Its error is text."""
    good = ModelStreamInferResponse(infer_response=ModelInferResponse(id="r")).SerializeToString()
    bad = ModelStreamInferResponse(error_message="no").SerializeToString()
    assert streamed_outputs_of(good, "r") == {}
    assert streamed_outputs_of(bad, "r") == "no"


def test_a_url_is_an_endpoint() -> None:
    """With a scheme or without."""
    assert endpoint_of("grpc://h:1") == endpoint_of("h:1") == "h:1"


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_whether_a_worker_takes_calls_is_seen(ready: bool, status: int) -> None:
    """As a health page would say it."""

    async def look() -> Any:
        async with serving(Handler(mirrored, ready=ready)) as endpoint, httpx.AsyncClient() as client:
            return await KServe().look(client, f"grpc://{endpoint}", "health")

    assert asyncio.run(look()) == {"status": status, "body": {"ready": ready}}


def test_a_worker_that_is_not_there_is_told() -> None:
    """With its address and the status."""

    async def look() -> Any:
        async with httpx.AsyncClient() as client:
            return await KServe().look(client, "grpc://127.77.12.9:9", "health")

    with pytest.raises(ViewFailed, match=r"127\.77\.12\.9:9 answered UNAVAILABLE"):
        asyncio.run(look())
