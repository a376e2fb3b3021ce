"""The calls of `loadbalancer.LoadBalancer`, as a node answers them."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from system.balancer.wire import SERVICE
from system.node.engines.base import Engine, EngineError
from system.node.keeper import Keeper
from system.proto import load_balancer_pb2 as pb

FORGOTTEN_AFTER = 30.0
"""Seconds for which the status of a question that is done can still be asked for."""


@dataclass(slots=True)
class Working:
    """A question that is being worked on, or was a moment ago."""

    began: float
    status: pb.ProcessingStatus = pb.STARTING
    percentage: float = 0.0
    step: str = "Starting"
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def at(self, status: pb.ProcessingStatus, percentage: float, step: str) -> None:
        self.status, self.percentage, self.step = status, percentage, step
        self.changed.set()

    def message(self, request: str, client: str, now: float) -> pb.StatusResponse:
        share = self.percentage / 100
        elapsed = now - self.began
        return pb.StatusResponse(
            request_id=request,
            client_id=client,
            status=self.status,
            progress_percentage=self.percentage,
            current_step=self.step,
            estimated_remaining_seconds=int(elapsed / share - elapsed) if 0 < share < 1 else 0,
        )


class NodeService:
    """Answers questions with the engine's model."""

    def __init__(self, client_id: str, engine: Engine, keeper: Keeper) -> None:
        self._id = client_id
        self._engine = engine
        self._keeper = keeper
        self._working: dict[str, Working] = {}
        self.in_progress = 0

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """What a server is given."""
        unary = grpc.unary_unary_rpc_method_handler
        methods: dict[str, Any] = {
            "ProcessAIRequest": unary(
                self.process_ai_request, pb.AIRequest.FromString, pb.AIResponse.SerializeToString
            ),
            "GetProcessingStatus": unary(
                self.get_processing_status, pb.StatusRequest.FromString, pb.StatusResponse.SerializeToString
            ),
            "HealthCheck": unary(self.health_check, pb.Empty.FromString, pb.HealthResponse.SerializeToString),
            "Work": grpc.unary_stream_rpc_method_handler(
                self.work, pb.AIRequest.FromString, pb.WorkUpdate.SerializeToString
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def process_ai_request(self, request: pb.AIRequest, rpc: Any) -> pb.AIResponse:
        return await self._answered(request, self._begin(request))

    async def work(self, request: pb.AIRequest, rpc: Any) -> AsyncIterator[pb.WorkUpdate]:
        """Each step as it is reached, then the answer."""
        working = self._begin(request)
        answering = asyncio.create_task(self._answered(request, working))
        try:
            while not answering.done():
                changed = asyncio.create_task(working.changed.wait())
                await asyncio.wait((answering, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if working.changed.is_set():
                    working.changed.clear()
                    yield pb.WorkUpdate(
                        status=working.message(request.request_id, self._id, time.monotonic())
                    )
            yield pb.WorkUpdate(answer=answering.result())
        finally:
            answering.cancel()

    async def get_processing_status(self, request: pb.StatusRequest, rpc: Any) -> pb.StatusResponse:
        working = self._working.get(request.request_id)
        if working is None:
            return pb.StatusResponse(
                request_id=request.request_id,
                client_id=self._id,
                status=pb.IDLE,
                current_step="No active request",
            )
        return working.message(request.request_id, self._id, time.monotonic())

    async def health_check(self, request: pb.Empty, rpc: Any) -> pb.HealthResponse:
        model = self._keeper.model
        return pb.HealthResponse(
            healthy=True,
            message=f"Client {self._id} healthy. Model: {model or None}",
            connected_clients=1,
            active_models=int(bool(model)),
        )

    def _begin(self, request: pb.AIRequest) -> Working:
        working = self._working[request.request_id] = Working(time.monotonic())
        return working

    async def _answered(self, request: pb.AIRequest, working: Working) -> pb.AIResponse:
        self.in_progress += 1
        try:
            text = await self._asked(request, working)
            working.at(pb.COMPLETED, 100, "Completed")
            return self._response(request, working, text, success=True)
        except EngineError as error:
            working.at(pb.ERROR, working.percentage, str(error))
            return self._response(request, working, str(error), success=False)
        finally:
            self.in_progress -= 1
            loop = asyncio.get_running_loop()
            loop.call_later(FORGOTTEN_AFTER, self._forget, request.request_id, working)

    async def _asked(self, request: pb.AIRequest, working: Working) -> str:
        model = request.assigned_model or self._keeper.model
        if not model:
            msg = "no model was assigned to this node yet"
            raise EngineError(msg)
        if model == self._keeper.model and self._keeper.state != "ready":
            msg = f"{model} is {self._keeper.state}: {self._keeper.detail}"
            raise EngineError(msg)
        working.at(pb.PROCESSING, 10, f"Asking {model}")
        text = await self._engine.answer(model, request.prompt, tuple(request.images))
        working.at(pb.FINALIZING, 90, f"{model} has answered")
        return text

    def _response(
        self, request: pb.AIRequest, working: Working, text: str, *, success: bool
    ) -> pb.AIResponse:
        return pb.AIResponse(
            request_id=request.request_id,
            success=success,
            response_text=text,
            processing_time=time.monotonic() - working.began,
            client_id=self._id,
            model_used=request.assigned_model or self._keeper.model,
            timestamp=int(time.time()),
        )

    def _forget(self, request: str, working: Working) -> None:
        if self._working.get(request) is working:
            del self._working[request]
