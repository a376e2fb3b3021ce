"""ModelInfer: what handlers get, what callers get, and what bad input gets."""

import asyncio
import threading
from typing import Annotated, Any, TypedDict

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from system.client.calling import AS_BYTES
from system.proto.inference_pb2 import ModelInferRequest
from system.worker import BadInput, Context, Outputs, Shape, Worker
from system.worker import ModelInferRequest as Request
from system.worker import ModelInferResponse as Response
from tests.system.worker.served import ADDRESS, ints, refusal, request, run, served, stub_of, tensor

Code = grpc.StatusCode


class Product(TypedDict):
    product: NDArray[np.int32]


# handlers of every form
worker = Worker("calculator", "7")


@worker.capability(type="multiply")
def multiply(a: NDArray[np.int32], b: NDArray[np.int32]) -> Outputs(product=np.int32):  # type: ignore[valid-type]
    return {"product": a * b}


@worker.capability(type="multiply_async")
async def multiply_async(a: NDArray[np.int32], b: NDArray[np.int32]) -> Product:
    return {"product": a * b}


@worker.capability(type="multiply_inline", inline=True)
def multiply_inline(a: NDArray[np.int32], b: NDArray[np.int32]) -> Product:
    return {"product": a * b}


@worker.capability(type="power")
def power(
    base: NDArray[np.float32], exp: NDArray[np.int32]
) -> Annotated[dict[str, Any], Outputs(result=np.float32)]:
    return {"result": base**exp}


@worker.capability(type="echo")
def echo(x: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"x": x}


@worker.capability(type="rows")
def rows(
    x: Annotated[NDArray[np.float32], Shape(-1, 3)], scale: NDArray[np.float32] | None = None
) -> Product:
    return {"product": np.zeros(1, np.int32)}


@worker.capability(type="seeds")
def seeds(request: Request) -> Response:
    a, b = request.get_input("a"), request.get_input("b")
    if a is None or b is None:
        msg = "Missing inputs"
        raise ValueError(msg)
    response = Response(model_name=request.model_name, id=request.id)
    product = [x * y for x, y in zip(a.contents.int_contents, b.int_contents, strict=False)]
    response.add_output("product", "INT32", [len(product)], int_contents=product)
    return response


@worker.capability(type="seeds_context")
def seeds_context(request: Request, context: Context) -> Response:
    if request.parameters.get("fail"):
        return Response(error="as it was told")
    response = Response()
    response.add_output("who", array=np.array([context.replica_id.encode()], object))
    return response


@worker.capability(type="picky")
def picky(x: np.ndarray[Any, Any]) -> dict[str, Any]:
    msg = "input 'x' must be even"
    raise BadInput(msg)


A = tensor("a", "INT32", [3], int_contents=[2, 3, 4])
B = tensor("b", "INT32", [3], int_contents=[10, 20, 30])


@pytest.mark.parametrize("model", ["multiply", "multiply_async", "multiply_inline", "seeds"])
def test_every_form_of_handler_answers(model: str) -> None:
    """In a thread, on the loop, inline, and as the seed's: names and id are echoed."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            response = await stub.ModelInfer(request(model, A, B, id="7"))
            assert ints(response) == {"product": [20, 60, 120]}
            assert (response.model_name, response.id) == (model, "7")
            assert response.outputs[0].datatype == "INT32"

    run(test())


def test_answers_come_in_the_form_they_were_asked_in() -> None:
    """Raw contents are answered raw, typed contents typed."""

    async def test() -> None:
        raw = [np.array([2, 3], "<i4").tobytes(), np.array([10, 20], "<i4").tobytes()]
        asked = request(
            "multiply", tensor("a", "INT32", [2]), tensor("b", "INT32", [2]), raw_input_contents=raw
        )
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            response = await stub.ModelInfer(asked)
            assert response.raw_output_contents == [np.array([20, 60], "<i4").tobytes()]
            assert not response.outputs[0].HasField("contents")

    run(test())


def test_results_are_cast_to_what_is_declared() -> None:
    """float32 ** int32 is float64 to numpy; the declared FP32 is what callers get."""

    async def test() -> None:
        base = tensor("base", "FP32", [2, 1], fp32_contents=[2, 3])
        exp = tensor("exp", "INT32", [2, 1], int_contents=[2, 3])
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            output = (await stub.ModelInfer(request("power", base, exp))).outputs[0]
            assert (output.datatype, list(output.shape)) == ("FP32", [2, 1])
            assert list(output.contents.fp32_contents) == [4, 27]

    run(test())


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (request("multipl", A, B), Code.NOT_FOUND, "Model 'multipl' not found; did you mean multiply"),
        (request("xyz"), Code.NOT_FOUND, "this worker has multiply, multiply_async"),
        (request("multiply", A), Code.INVALID_ARGUMENT, "input 'b' is missing: the inputs are a (INT32), b"),
        (request("echo", A), Code.INVALID_ARGUMENT, "input 'x' is missing: the inputs are x (any datatype)"),
        (
            request("multiply", A, B, tensor("c", "INT32", [1], int_contents=[1])),
            Code.INVALID_ARGUMENT,
            "there is no input 'c'",
        ),
        (
            request("multiply", A, tensor("b", "FP32", [1], fp32_contents=[1])),
            Code.INVALID_ARGUMENT,
            "input 'b' is FP32, but INT32 is wanted",
        ),
        (
            request("rows", tensor("x", "FP32", [2, 2], fp32_contents=[1, 2, 3, 4])),
            Code.INVALID_ARGUMENT,
            "input 'x' has shape [2, 2], but [-1, 3] is wanted",
        ),
        (
            request("multiply", A, B, raw_input_contents=[b"", b""]),
            Code.INVALID_ARGUMENT,
            "input 'a': contents and raw contents are both given",
        ),
        (
            request("echo", tensor("x", "FP32", [2]), raw_input_contents=[b"123"]),
            Code.INVALID_ARGUMENT,
            "input 'x': 3 bytes of raw contents, but 8 are wanted for FP32 of shape [2]",
        ),
        (
            request("multiply", A, B, outputs=[ModelInferRequest.InferRequestedOutputTensor(name="prod")]),
            Code.INVALID_ARGUMENT,
            "there is no output 'prod'; did you mean product?",
        ),
        (
            request("multiply", A, tensor("b", "INT32", [2], int_contents=[1, 2])),
            Code.INTERNAL,
            "ValueError: operands could not be broadcast",
        ),
        (request("seeds"), Code.INTERNAL, "ValueError: Missing inputs"),
        (request("picky", tensor("x", "BOOL", [0])), Code.INVALID_ARGUMENT, "input 'x' must be even"),
        (request("multiply", A, B, model_version="3"), None, ""),
        (
            request("seeds_context", parameters={"fail": {"bool_param": True}}),
            Code.INTERNAL,
            "as it was told",
        ),
    ],
)
def test_mistakes_have_a_status_and_words(asked: ModelInferRequest, code: Code | None, says: str) -> None:
    """Never an empty OK: the model, the tensor, what it is and what is wanted."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            if code is None:
                await stub.ModelInfer(asked)
                return
            got, words = await refusal(stub.ModelInfer(asked))
            assert got is code
            assert says in words

    run(test())


def test_garbage_is_refused() -> None:
    """Bytes that are no message are the caller's mistake."""

    async def test() -> None:
        async with served(worker) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", *AS_BYTES)
            assert (await refusal(call(b"\xff")))[0] is Code.INVALID_ARGUMENT

    run(test())


def test_a_message_above_the_limit_is_refused_with_the_limit() -> None:
    """The limit is in the words."""

    async def test() -> None:
        big = request("echo", tensor("x", "UINT8", [2000]), raw_input_contents=[bytes(2000)])
        async with served(worker, max_message=1000) as endpoint, stub_of(endpoint) as stub:
            code, words = await refusal(stub.ModelInfer(big))
            assert code is Code.RESOURCE_EXHAUSTED
            assert "1000" in words

    run(test())


def test_calls_beyond_the_limit_are_refused() -> None:
    """The second of two calls where one is allowed; afterwards there is room again."""

    async def test() -> None:
        waiting, entered, leave = Worker(), threading.Event(), threading.Event()

        @waiting.capability(type="wait")
        def wait(x: np.ndarray[Any, Any]) -> dict[str, Any]:
            entered.set()
            leave.wait(5)
            return {"x": x}

        asked = request("wait", tensor("x", "INT32", [1], int_contents=[1]))
        async with served(waiting, max_concurrency=1) as endpoint, stub_of(endpoint) as stub:
            first = asyncio.ensure_future(stub.ModelInfer(asked))
            await asyncio.to_thread(entered.wait, 5)
            code, words = await refusal(stub.ModelInfer(asked))
            leave.set()
            await first
            await stub.ModelInfer(asked)
            assert code is Code.RESOURCE_EXHAUSTED
            assert "1 calls are in progress, and the limit is 1" in words

    run(test())


def test_deadline_and_cancellation_reach_the_handler() -> None:
    """A handler in a thread sees how long it has, and that nobody waits any more."""

    async def test() -> None:
        waiting, seen = Worker(), list[float | None]()
        entered, over = threading.Event(), threading.Event()

        @waiting.capability(type="wait")
        def wait(x: np.ndarray[Any, Any], context: Context) -> dict[str, Any]:
            seen.append(context.time_remaining)
            entered.set()
            for _ in range(1_000):  # not for ever, should nobody tell it
                if context.cancelled or over.wait(0.01):
                    over.set()
                    break
            return {"x": x}

        asked = request("wait", tensor("x", "INT32", [1], int_contents=[1]))
        async with served(waiting) as endpoint, stub_of(endpoint) as stub:
            call = stub.ModelInfer(asked, timeout=20)
            task = asyncio.ensure_future(asyncio.wait_for(call, 20))
            assert await asyncio.to_thread(entered.wait, 10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(over.wait, 5)
            assert 0 < (seen[0] or 0) <= 20

    run(test())


def test_metadata_is_what_is_declared() -> None:
    """Names, datatypes and shapes of inputs and outputs; the server's own name and version."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            server = await stub.ServerMetadata(ModelInferRequest())
            assert (server.name, server.version) == ("calculator", "7")
            model = await stub.ModelMetadata(ModelInferRequest(model_name="rows"))
            assert [(t.name, t.datatype, list(t.shape)) for t in model.inputs] == [
                ("x", "FP32", [-1, 3]),
                ("scale", "FP32", [-1]),
            ]
            assert [(t.name, t.datatype) for t in model.outputs] == [("product", "INT32")]
            code, words = await refusal(stub.ModelMetadata(ModelInferRequest(model_name="row")))
            assert (code, "did you mean rows" in words) == (Code.NOT_FOUND, True)

    run(test())


def test_a_taken_port_is_a_line() -> None:
    """Two workers cannot share a port silently."""

    async def test() -> None:
        async with served(worker) as endpoint:
            port = int(endpoint.rpartition(":")[2])
            with pytest.raises(Exception, match=f"port {port} on {ADDRESS} is taken"):
                async with served(worker, port=port):
                    pass

    run(test())
