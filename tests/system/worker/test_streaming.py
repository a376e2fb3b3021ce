"""ModelStreamInfer: generators, the seed's (request, context, stream), and streams of requests."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from system.worker import Context, DeclarationError, ModelInferRequest, ModelInferResponse, Stream, Worker
from tests.system.worker.served import refusal, request, run, served, stub_of, tensor

worker = Worker()


@worker.capability(type="count")
def count(n: NDArray[np.int32]) -> Iterator[dict[str, Any]]:
    for number in range(int(n[0])):
        yield {"number": np.array([number], np.int32)}


@worker.capability(type="count_async")
async def count_async(n: NDArray[np.int32]) -> AsyncIterator[dict[str, Any]]:
    for number in range(int(n[0])):
        yield {"number": np.array([number], np.int32)}


@worker.capability(type="count_seed", stream=True)
def count_seed(request: ModelInferRequest, context: Context, stream: Stream) -> None:
    n = request.get_input("n")
    assert n is not None
    for number in range(n.int_contents[0]):
        response = ModelInferResponse(model_name=request.model_name)
        response.add_output("number", "INT32", [1], int_contents=[number])
        stream.send(response)
    stream.close()


@worker.capability(type="count_coroutine", stream=True)
async def count_coroutine(request: ModelInferRequest, context: Context, stream: Stream) -> None:
    count_seed(request, context, stream)


@worker.capability(type="fails")
def fails(n: NDArray[np.int32]) -> Iterator[dict[str, Any]]:
    yield {"number": n}
    msg = "in the middle"
    raise ValueError(msg)


@worker.capability(type="says_error", stream=True)
def says_error(request: ModelInferRequest, context: Context, stream: Stream) -> None:
    stream.error("no luck")


@worker.capability(type="once")
def once(n: NDArray[np.int32]) -> dict[str, Any]:
    return {"number": n}


def asked(model: str, n: int = 3) -> Any:
    return request(model, tensor("n", "INT32", [1], int_contents=[n]), id="9")


async def answers(stub: Any, *requests: Any) -> list[Any]:
    """Numbers and error texts, in the order they came."""
    return [
        answer.error_message or list(answer.infer_response.outputs[0].contents.int_contents)
        async for answer in stub.ModelStreamInfer(iter(requests))
    ]


@pytest.mark.parametrize("model", ["count", "count_async", "count_seed", "count_coroutine"])
def test_every_form_of_streaming_handler_streams(model: str) -> None:
    """More answers than may be under way at a time, all in order."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            assert await answers(stub, asked(model, 100)) == [[number] for number in range(100)]

    run(test())


def test_a_stream_of_requests_is_answered_in_order() -> None:
    """As Triton's clients send it; an error of one does not end the stream, and plain models answer once."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            got = await answers(stub, asked("count", 2), asked("cont"), asked("once", 7))
            assert got[:2] == [[0], [1]]
            assert "Model 'cont' not found; did you mean count" in got[2]
            assert got[3:] == [[7]]

    run(test())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("fails", [[3], "Error in stream handler: ValueError: in the middle"]),
        ("says_error", ["no luck"]),
    ],
)
def test_a_failing_handler_says_so_in_the_stream(model: str, expected: list[Any]) -> None:
    """What was answered before stands."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            assert await answers(stub, asked(model)) == expected

    run(test())


def test_a_model_that_streams_is_not_called_plainly() -> None:
    """The words name the call to make."""

    async def test() -> None:
        async with served(worker) as endpoint, stub_of(endpoint) as stub:
            _, words = await refusal(stub.ModelInfer(asked("count")))
            assert words == "Model 'count' streams its answers: call ModelStreamInfer"

    run(test())


def test_who_leaves_a_stream_ends_its_handler() -> None:
    """A handler in a thread that sends for ever is stopped when its caller is gone."""

    async def test() -> None:
        endless, ended = Worker(), threading.Event()

        @endless.capability(type="endless")
        def forever(n: NDArray[np.int32]) -> Iterator[dict[str, Any]]:
            try:
                while True:
                    yield {"number": n}
            finally:
                ended.set()

        async with served(endless) as endpoint, stub_of(endpoint) as stub:
            call = stub.ModelStreamInfer(iter([asked("endless")]))
            await call.read()
            call.cancel()
            assert await asyncio.to_thread(ended.wait, 5)

    run(test())


def test_a_closed_stream_refuses() -> None:
    """The seed's words."""
    stream = Stream(print)
    stream.close()
    with pytest.raises(RuntimeError, match="Cannot send to a closed stream"):
        stream.send({})


def test_a_stream_with_declared_tensors_is_a_generator() -> None:
    """Said when it is declared, not when it is called."""
    with pytest.raises(DeclarationError, match="yields its answers"):

        @Worker().capability(type="x", stream=True)
        def wrong(n: NDArray[np.int32]) -> None: ...
