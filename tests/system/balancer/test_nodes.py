"""A balancer and nodes over the wire: ours, and one that knows only the original's protocol."""

import asyncio
import time
from typing import Any

import grpc
import grpc.aio
import pytest

from system.balancer import membership
from system.errors import UsageError
from system.proto import load_balancer_pb2 as pb
from system.proto import load_balancer_pb2_grpc as rpc
from tests.system.balancer.served import STRONG, WEAK, balancer, node, ready, run, until


def test_nodes_get_models_and_answer() -> None:
    """Two unequal machines: each with its model, both in the answer, progress as it happens."""

    async def test() -> None:
        async with balancer() as (address, stub), node(address, "s", STRONG), node(address, "w", WEAK):
            nodes = await ready(stub, 2)
            assert sorted((one.score, one.model) for one in nodes.values()) == [
                (41.0, "llama3.2:1b"), (100.0, "llama3.1:8b"),
            ]  # fmt: skip
            weak = next(one for one in nodes.values() if one.score == 41.0)
            assert "is for nodes of 80 points and more; this one has 41" in str(weak.rejections)
            health = await stub.HealthCheck(pb.Empty())
            assert health.message == "Server healthy. 2 clients, 2 active models."
            answer = await stub.ProcessRequest(pb.AIRequest(request_id="1", prompt="hello"))
            assert answer.success
            assert "PROCESSING_DETAILS_START" in answer.response_text
            assert all(name in answer.response_text for name in nodes)
            events = [event async for event in stub.Ask(pb.AskRequest(prompt="x", plan="best", count=1))]
            assert [event.WhichOneof("of") for event in events][-2:] == ["answered", "result"]
            assert {event.progress.current_step for event in events[:-2]} >= {"Completed"}
            assert events[-1].result.text == "llama3.1:8b says: x"

    run(test())


def test_a_node_that_is_slow_or_fails_is_left_out_and_named() -> None:
    """One deadline for all; the others' answers are given."""

    async def test() -> None:
        async with (
            balancer(deadline=0.4, aggregation="best") as (address, stub),
            node(address, "good", WEAK, "mock:?text=Paris"),
            node(address, "slow", STRONG, "mock:?delay=60"),
            node(address, "bad", STRONG, "mock:?fails=1"),
        ):
            await ready(stub, 3)
            began = time.monotonic()
            events = [event async for event in stub.Ask(pb.AskRequest(prompt="x"))]
            assert time.monotonic() - began < 5
            result = events[-1].result
            assert (result.success, result.text) == (True, "Paris")
            assert sorted((one.outcome, one.reason) for one in result.nodes) == [
                ("answered", ""),
                ("failed", "the engine was told to fail"),
                ("late", "no answer within the deadline"),
            ]

    run(test())


def test_a_node_that_leaves_is_out_at_once_and_back_in_its_place() -> None:
    """Goodbye, and again under the name that it was given: that is its id."""

    async def test() -> None:
        async with balancer() as (address, stub):
            async with node(address, "a", WEAK):
                (first,) = await ready(stub, 1)
            assert not (await stub.GetFleet(pb.Empty())).nodes
            async with node(address, "a", WEAK):
                (second,) = await ready(stub, 1)
            assert first == second == "a"

    run(test())


def test_a_model_that_cannot_be_fetched_is_replaced_by_one_that_can() -> None:
    """With the engine's own words beside the model that it is not."""

    async def test() -> None:
        async with balancer() as (address, stub), node(address, "a", STRONG, "mock:?lacks=llama3.1:8b"):

            async def settled() -> Any:
                nodes = (await stub.GetFleet(pb.Empty())).nodes
                return [one for one in nodes if one.model == "llama3.2:3b" and one.state == "ready"]

            (found,) = await until(settled)
            assert "file does not exist (llama3.1:8b)" in str(found.rejections)

    run(test())


def test_nodes_come_back_when_the_balancer_does() -> None:
    """A restarted balancer has an empty table for a moment only."""

    async def test() -> None:
        async with balancer() as (address, stub), node(address, "a", WEAK):
            await ready(stub, 1)
        port = int(address.rpartition(":")[2])
        async with node(address, "a", WEAK):
            await asyncio.sleep(0)
            async with balancer(port=port) as (_, again):
                await ready(again, 1)

    run(test())


class Original(rpc.LoadBalancerServicer):
    """A node as the original's: it registers once, and answers."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def ProcessAIRequest(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self.asked.append(request)
        return pb.AIResponse(
            request_id=request.request_id, success=True, response_text="Paris", client_id="old"
        )

    async def HealthCheck(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.HealthResponse(healthy=True, message="fine", connected_clients=1)


def test_a_node_of_the_original_registers_answers_and_is_forgotten_when_it_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It keeps no lease, so it is probed; its own score is not believed."""
    monkeypatch.setattr(membership, "PROBE_EVERY", 0.05)
    host = "127.77.20.2"

    async def test() -> None:
        old = Original()
        server = grpc.aio.server()
        rpc.add_LoadBalancerServicer_to_server(old, server)
        server.add_insecure_port(f"{host}:50052")
        async with balancer() as (_, stub):
            answer = await stub.RegisterClient(
                pb.ClientInfo(
                    client_id="client-old-1", hostname="old", ip_address=host,
                    specs=pb.SystemSpecs(
                        cpu_cores=8, cpu_frequency_ghz=3.5, ram_gb=16, gpu_info="NVIDIA GeForce RTX 3060",
                        performance_score=3.0,
                    ),
                )
            )  # fmt: skip
            assert answer.message == "Registered successfully. Smart assignment: llama3.1:8b"
            assert (answer.success, answer.total_clients, answer.client_group) == (True, 1, 1)
            await server.start()
            asked = await stub.ProcessRequest(pb.AIRequest(request_id="7", prompt="capital?"))
            assert asked.response_text.startswith("Paris\n")
            assert [(one.request_id, one.assigned_model) for one in old.asked] == [("7", "llama3.1:8b")]
            (seen,) = (await stub.GetFleet(pb.Empty())).nodes
            assert seen.score == 84.0

            async def probed() -> Any:
                (now,) = (await stub.GetFleet(pb.Empty())).nodes
                return now.last_seen > seen.last_seen + 0.02

            await until(probed)
            await server.stop(None)

            async def gone() -> bool:
                return not (await stub.GetFleet(pb.Empty())).nodes

            await until(gone)

    run(test())


def test_impossible_hardware_is_refused_with_its_reason() -> None:
    """By the original's call as by ours."""

    async def test() -> None:
        async with balancer() as (_, stub):
            specs = pb.SystemSpecs(cpu_cores=0, cpu_frequency_ghz=3, ram_gb=10 * 1024)
            info = pb.ClientInfo(client_id="liar", specs=specs)
            answer = await stub.RegisterClient(info)
            assert (answer.success, answer.client_group) == (False, 0)
            assert "cpu_cores is 0" in answer.message
            assert "ram_gb is 10240" in answer.message
            with pytest.raises(grpc.aio.AioRpcError, match="cpu_cores is 0"):
                await anext(aiter(stub.Attend(iter([pb.Attendance(join=info)]))))
            with pytest.raises(grpc.aio.AioRpcError, match="the first message of Attend is"):
                await anext(aiter(stub.Attend(iter([pb.Attendance(report=pb.Report())]))))
            assert (await stub.ReassignModels(pb.Empty())).message == "No clients connected"

    run(test())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"assignment": "best"}, "there is no assignment 'best'"),
        ({"model": ("phi",)}, "its name does not say how large it is"),
        ({"plan": "quorum"}, "plan quorum needs a count"),
        ({"http_only": True}, "exclude each other"),
    ],
)
def test_what_a_balancer_cannot_be_told(options: dict[str, Any], says: str) -> None:
    """Before it listens, in words."""

    async def test() -> None:
        with pytest.raises(UsageError, match=says):
            async with balancer(**options):
                pass

    run(test())
