"""One endpoint for several worker processes: calls are passed on, answers and statuses passed back."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import grpc.aio

from system.proto.inference_pb2 import (
    DESCRIPTOR,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from system.worker.processes import Process, Processes
from system.worker.service import LEAVING, SERVICE

STREAM = "ModelStreamInfer"
NEVER_SENT = "failed to connect"  # gRPC's words where nobody listens: the call reached no one


class Dispatcher:
    """Passes each call on to the process that has least in flight."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.leaving = False

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        names = [method.name for method in DESCRIPTOR.services_by_name["GRPCInferenceService"].methods]
        methods = {
            name: grpc.unary_unary_rpc_method_handler(partial(self._whole, f"/{SERVICE}/{name}"))
            for name in names
            if name != STREAM
        }
        methods[STREAM] = grpc.stream_stream_rpc_method_handler(self._streamed)
        methods["ServerLive"] = grpc.unary_unary_rpc_method_handler(
            self._server_live, ServerLiveRequest.FromString, ServerLiveResponse.SerializeToString
        )
        methods["ServerReady"] = grpc.unary_unary_rpc_method_handler(
            self._server_ready, ServerReadyRequest.FromString, ServerReadyResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _server_live(self, request: ServerLiveRequest, rpc: Any) -> ServerLiveResponse:
        return ServerLiveResponse(live=True)

    async def _server_ready(self, request: ServerReadyRequest, rpc: Any) -> ServerReadyResponse:
        return ServerReadyResponse(ready=self._processes.least_busy() is not None)

    async def _chosen(self, rpc: Any) -> Process:
        if self.leaving:
            await rpc.abort(grpc.StatusCode.UNAVAILABLE, LEAVING)
        process = self._processes.least_busy()
        if process is None:
            await rpc.abort(grpc.StatusCode.UNAVAILABLE, "no worker process is running; one is being started")
            raise AssertionError  # abort has raised
        return process

    async def _whole(self, method: str, data: bytes, rpc: Any) -> bytes:
        while True:  # ends: each turn takes a process out
            process = await self._chosen(rpc)
            process.in_flight += 1
            try:
                call = process.channel.unary_unary(method, None, None)
                answer: bytes = await call(data, timeout=rpc.time_remaining())
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE and NEVER_SENT in (error.details() or ""):
                    process.failed = True
                    continue
                await self._passed_back(error, process, rpc)
                raise AssertionError from None  # abort has raised
            else:
                return answer
            finally:
                process.in_flight -= 1

    async def _streamed(self, requests: AsyncIterator[bytes], rpc: Any) -> AsyncIterator[bytes]:
        process = await self._chosen(rpc)
        process.in_flight += 1
        try:
            call = process.channel.stream_stream(f"/{SERVICE}/{STREAM}", None, None)
            async for answer in call(requests, timeout=rpc.time_remaining()):
                yield answer
        except grpc.aio.AioRpcError as error:
            await self._passed_back(error, process, rpc)
        finally:
            process.in_flight -= 1

    async def _passed_back(self, error: grpc.aio.AioRpcError, process: Process, rpc: Any) -> None:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            process.failed = True  # it has died; its end is about to be noticed
            details = f"the worker process that had this call ended: {details}"
        await rpc.abort(error.code(), details)
