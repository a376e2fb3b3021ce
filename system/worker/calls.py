"""Calls of handlers: on the loop, or in a bounded pool of threads; whole or streamed."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from system.datatypes import TensorError
from system.proto.inference_pb2 import InferParameter
from system.proto.inference_pb2 import ModelInferRequest as Message
from system.tensors import Tensor
from system.worker.binding import BadOutput, bind, collect
from system.worker.capabilities import Capability
from system.worker.context import Context, Stream
from system.worker.messages import InferInputTensor, ModelInferRequest, ModelInferResponse
from system.worker.pool import Pool

AHEAD = 16  # answers that a handler in a thread may be ahead of who reads its stream


class HandlerError(Exception):
    """The handler answered with an error of its own."""


class Call:
    """One call of one capability, with its inputs."""

    __slots__ = ("arguments", "capability", "context", "keywords")

    def __init__(
        self, capability: Capability, context: Context, message: Message, tensors: dict[str, Tensor]
    ) -> None:
        self.capability = capability
        self.context = context
        self.arguments: tuple[Any, ...] = ()
        signature = capability.signature
        if signature is None:
            request = _request(message, tensors)
            self.arguments = (request, context) if capability.takes_context else (request,)
            self.keywords: dict[str, Any] = {}
        else:
            self.keywords = bind(signature, tensors)
            if signature.context:
                self.keywords[signature.context] = context

    def outputs(self, result: Any) -> dict[str, Tensor]:
        """The outputs in what the handler returned or sent."""
        if isinstance(result, ModelInferResponse):
            if result.error:
                raise HandlerError(result.error)
            try:
                return result.tensors()
            except TensorError as error:
                raise BadOutput(str(error)) from None
        signature = self.capability.signature
        return collect(None if signature is None else signature.outputs, result)


def _request(message: Message, tensors: dict[str, Tensor]) -> ModelInferRequest:
    return ModelInferRequest(
        model_name=message.model_name,
        model_version=message.model_version,
        id=message.id,
        parameters={name: _parameter(value) for name, value in message.parameters.items()},
        inputs=[
            InferInputTensor(name, tensor.datatype, tensor.array.shape, array=tensor.array)
            for name, tensor in tensors.items()
        ],
    )


def _parameter(parameter: InferParameter) -> Any:
    chosen = parameter.WhichOneof("parameter_choice")
    return None if chosen is None else getattr(parameter, chosen)


class Calls:
    """Where handlers run."""

    def __init__(self, threads: int) -> None:
        self._pool = Pool(threads)

    def close(self) -> None:
        self._pool.close()

    async def whole(self, call: Call) -> dict[str, Tensor]:
        """The outputs of a handler that answers once."""
        capability = call.capability
        if capability.is_async:
            return call.outputs(await capability.function(*call.arguments, **call.keywords))
        if capability.inline:
            return call.outputs(capability.function(*call.arguments, **call.keywords))
        outputs: dict[str, Tensor] = await self._pool.run(partial(_run, call))
        return outputs

    async def streamed(self, call: Call) -> AsyncIterator[dict[str, Tensor]]:
        """The outputs of a handler that streams; raises HandlerError where it says that it failed."""
        function = call.capability.function
        if inspect.isasyncgenfunction(function):
            answers = function(*call.arguments, **call.keywords)
            try:
                async for answer in answers:
                    yield call.outputs(answer)
            finally:
                await answers.aclose()
            return
        reader = _Reader(bounded=not call.capability.is_async)
        running = asyncio.ensure_future(self._feed(call, reader.stream))
        running.add_done_callback(lambda _: reader.end())
        try:
            async for answer in reader:
                yield call.outputs(answer)
            await running
            if reader.stream.failure is not None:
                raise HandlerError(reader.stream.failure)
        finally:
            reader.stop()
            call.context.cancel()
            running.cancel()

    async def _feed(self, call: Call, stream: Stream) -> None:
        capability = call.capability
        if capability.generates:
            await self._pool.run(partial(_drain, call, stream))
        elif capability.is_async:
            await capability.function(*call.arguments, stream)
        else:
            await self._pool.run(partial(capability.function, *call.arguments, stream))


def _run(call: Call) -> dict[str, Tensor]:
    return call.outputs(call.capability.function(*call.arguments, **call.keywords))


def _drain(call: Call, stream: Stream) -> None:
    """Run a generator until it ends or nobody reads any more."""
    answers = call.capability.function(*call.arguments, **call.keywords)
    try:
        for answer in answers:
            if stream.closed:
                return
            stream.send(answer)
    finally:
        answers.close()


_END = object()


class _Reader:
    """The loop's end of a stream whose other end is in a handler's hands."""

    def __init__(self, *, bounded: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._room = BoundedSemaphore(AHEAD) if bounded else None
        self.stream = Stream(self._put)

    def _put(self, answer: Any) -> None:
        if self._room is not None:
            self._room.acquire()
        self._loop.call_soon_threadsafe(self._answers.put_nowait, answer)

    def end(self) -> None:
        # behind what the handler's thread has already handed over to the loop
        self._loop.call_soon(self._answers.put_nowait, _END)

    def stop(self) -> None:
        """Nobody reads any more: let a waiting handler go on, to find the stream closed."""
        self.stream.close()
        if self._room is not None:
            self._make_room()

    def _make_room(self) -> None:
        assert self._room is not None
        try:
            self._room.release()
        except ValueError:
            return  # there was room

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (answer := await self._answers.get()) is not _END:
            if self._room is not None:
                self._make_room()
            yield answer
