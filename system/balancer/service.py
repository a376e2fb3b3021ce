"""The calls of `loadbalancer.LoadBalancer`, as the balancer answers them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

import grpc

from system.balancer.aggregation import aggregation_of
from system.balancer.asking import NodeAnswer, PlanError, Progress, Question, plan_of
from system.balancer.balancer import Asked, Balancer, Result
from system.balancer.fleet import Node
from system.balancer.membership import Leases, Outbox
from system.balancer.scoring import ImpossibleSpecs
from system.balancer.settings import Defaults
from system.balancer.wire import (
    SERVICE,
    answer_message,
    card_of,
    model_message,
    progress_message,
    status_message,
)
from system.proto import load_balancer_pb2 as pb

log = logging.getLogger("balancer")
Code = grpc.StatusCode


class BalancerService:
    """Answers nodes and callers."""

    def __init__(self, balancer: Balancer, leases: Leases, defaults: Defaults) -> None:
        self._balancer = balancer
        self._fleet = balancer.fleet
        self._leases = leases
        self._defaults = defaults

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """What a server is given."""
        unary: dict[str, tuple[Callable[..., Any], Any, Any]] = {
            "RegisterClient": (self.register_client, pb.ClientInfo, pb.RegistrationResponse),
            "ProcessAIRequest": (self.process_ai_request, pb.AIRequest, pb.AIResponse),
            "HealthCheck": (self.health_check, pb.Empty, pb.HealthResponse),
            "GetAvailableModels": (self.get_available_models, pb.Empty, pb.AvailableModelsResponse),
            "ReassignModels": (self.reassign_models, pb.Empty, pb.ReassignmentResponse),
            "ProcessRequest": (self.process_request, pb.AIRequest, pb.AIResponse),
            "GetFleet": (self.get_fleet, pb.Empty, pb.FleetResponse),
        }
        methods: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(call, asked.FromString, answer.SerializeToString)
            for name, (call, asked, answer) in unary.items()
        }
        methods["Attend"] = grpc.stream_stream_rpc_method_handler(
            self.attend, pb.Attendance.FromString, pb.Instruction.SerializeToString
        )
        methods["Ask"] = grpc.unary_stream_rpc_method_handler(
            self.ask, pb.AskRequest.FromString, pb.AskEvent.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def register_client(self, info: pb.ClientInfo, rpc: Any) -> pb.RegistrationResponse:
        try:
            if not info.client_id:
                msg = "client_id is empty"
                raise ImpossibleSpecs(msg)
            node = self._leases.join(card_of(info, _host_of(rpc)), "probed")
        except ImpossibleSpecs as error:
            log.warning("a registration of %r was refused: %s", info.client_id, error)
            return pb.RegistrationResponse(success=False, message=f"Registration failed: {error}")
        return pb.RegistrationResponse(
            success=True,
            message=f"Registered successfully. Smart assignment: {node.model or node.assigned.reason}",
            assigned_model=node.model,
            model_info=model_message(node.assigned.model),
            total_clients=len(self._fleet),
            client_group=1,
        )

    async def process_ai_request(self, request: pb.AIRequest, rpc: Any) -> pb.AIResponse:
        return pb.AIResponse(
            request_id=request.request_id,
            success=False,
            response_text="This method should not be called on server",
            client_id="server",
            model_used="none",
            timestamp=int(time.time()),
        )

    async def health_check(self, request: pb.Empty, rpc: Any) -> pb.HealthResponse:
        clients, models = len(self._fleet), self._fleet.active_models
        return pb.HealthResponse(
            healthy=True,
            message=f"Server healthy. {clients} clients, {models} active models.",
            connected_clients=clients,
            active_models=models,
        )

    async def get_available_models(self, request: pb.Empty, rpc: Any) -> pb.AvailableModelsResponse:
        models = [model_message(model) for model in self._fleet.models]
        return pb.AvailableModelsResponse(models=models, total_models=len(models))

    async def reassign_models(self, request: pb.Empty, rpc: Any) -> pb.ReassignmentResponse:
        if not len(self._fleet):
            return pb.ReassignmentResponse(success=False, message="No clients connected")
        self._leases.reassign()
        nodes = self._fleet.nodes
        return pb.ReassignmentResponse(
            success=True,
            message=f"Successfully reassigned models to {len(nodes)} clients",
            new_assignments=[
                pb.ClientAssignment(client_id=node.id, assigned_model=node.model, group_number=1)
                for node in nodes
            ],
        )

    async def process_request(self, request: pb.AIRequest, rpc: Any) -> pb.AIResponse:
        question = Question(
            id=request.request_id or _new_id(), prompt=request.prompt, images=tuple(request.images)
        )
        result = await self._balancer.ask(self._defaults.asked(question))
        return pb.AIResponse(
            request_id=question.id,
            success=not result.problem,
            response_text=result.layout,
            processing_time=result.seconds,
            client_id="server",
            model_used="none" if result.problem else "distributed",
            timestamp=int(time.time()),
        )

    async def get_fleet(self, request: pb.Empty, rpc: Any) -> pb.FleetResponse:
        return pb.FleetResponse(
            nodes=[status_message(node) for node in self._fleet.nodes],
            models=[model_message(model) for model in self._fleet.models],
        )

    async def ask(self, request: pb.AskRequest, rpc: Any) -> AsyncIterator[pb.AskEvent]:
        """What happens to a question, as it happens; the result comes last."""
        try:
            asked = self._asked(request)
        except (PlanError, LookupError) as error:
            await rpc.abort(Code.INVALID_ARGUMENT, str(error))
            raise AssertionError from None  # abort has raised
        events: asyncio.Queue[pb.AskEvent] = asyncio.Queue()
        asking = asyncio.create_task(self._balancer.ask(asked, lambda one: events.put_nowait(_event(one))))
        try:
            while not asking.done() or not events.empty():
                getting = asyncio.create_task(events.get())
                await asyncio.wait((getting, asking), return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                else:
                    getting.cancel()
            yield pb.AskEvent(result=_result(asking.result()))
        finally:
            asking.cancel()

    def _asked(self, request: pb.AskRequest) -> Asked:
        asked = self._defaults.asked(
            Question(id=request.request_id or _new_id(), prompt=request.prompt, images=tuple(request.images))
        )
        return Asked(
            question=asked.question,
            plan=plan_of(request.plan, request.count) if request.plan else asked.plan,
            aggregation=aggregation_of(request.aggregation) if request.aggregation else asked.aggregation,
            deadline=request.deadline or asked.deadline,
        )

    async def attend(self, requests: AsyncIterator[pb.Attendance], rpc: Any) -> None:
        """A node's lease: it is in the table until this returns."""
        first = await anext(aiter(requests), None)
        if first is None or first.WhichOneof("of") != "join" or not first.join.client_id:
            await rpc.abort(Code.INVALID_ARGUMENT, "the first message of Attend is `join` with a client_id")
            raise AssertionError  # abort has raised
        try:
            attending = self._leases.attending(card_of(first.join, _host_of(rpc)))
            async with attending as (node, outbox):
                await self._attended(requests, rpc, node, outbox)
        except ImpossibleSpecs as error:
            log.warning("a registration of %r was refused: %s", first.join.client_id, error)
            await rpc.abort(Code.INVALID_ARGUMENT, str(error))

    async def _attended(
        self, requests: AsyncIterator[pb.Attendance], rpc: Any, node: Node, outbox: Outbox
    ) -> None:
        reading = asyncio.create_task(self._read(requests, node))
        writing = asyncio.create_task(_write(rpc, outbox))
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            writing.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[pb.Attendance], node: Node) -> None:
        async for one in requests:
            match one.WhichOneof("of"):
                case "report":
                    self._leases.report(node, one.report)
                case "goodbye":
                    self._leases.leave(node, "it said goodbye")
                    return


async def _write(rpc: Any, outbox: Outbox) -> None:
    while (instruction := await outbox.get()) is not None:
        await rpc.write(instruction)


def _event(one: Progress | NodeAnswer) -> pb.AskEvent:
    if isinstance(one, Progress):
        return pb.AskEvent(progress=progress_message(one))
    return pb.AskEvent(answered=answer_message(one))


def _result(result: Result) -> pb.AskResult:
    return pb.AskResult(
        text=result.text,
        layout=result.layout,
        method=result.method,
        seconds=result.seconds,
        nodes=[answer_message(one) for one in result.nodes],
        success=not result.problem,
        problem=result.problem,
    )


def _new_id() -> str:
    import uuid

    return str(uuid.uuid4())


def _host_of(rpc: Any) -> str:
    """The address of who calls: `ipv4:10.0.0.7:41234`, `ipv6:%5B::1%5D:41234`."""
    kind, _, address = unquote(rpc.peer()).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else "127.0.0.1"
