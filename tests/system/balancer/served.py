"""A balancer and its nodes inside a test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from system.balancer.serving import serving as balancer_serving
from system.balancer.settings import BalancerConfig
from system.node.config import NodeConfig
from system.node.serving import serving as node_serving
from system.proto import load_balancer_pb2 as pb
from system.proto import load_balancer_pb2_grpc as rpc

HERE = "127.77.20.1"
STRONG = {"cores": 16, "ghz": 4.0, "ram": 64.0, "gpu": "NVIDIA RTX 4090"}
WEAK = {"cores": 4, "ghz": 2.5, "ram": 8.0, "gpu": "Intel UHD"}


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop of its own, not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test

    asyncio.run(bounded())


@asynccontextmanager
async def balancer(**options: Any) -> AsyncIterator[tuple[str, Any]]:
    """A balancer's gRPC half: its HOST:PORT, and a stub of it."""
    config = BalancerConfig(host=HERE, **({"port": 0, "drain": 0.5, "grpc_only": True} | options))
    async with balancer_serving(config) as serving:
        address = serving.url.partition("://")[2]
        async with grpc.aio.insecure_channel(address) as channel:
            yield address, rpc.LoadBalancerStub(channel)


@asynccontextmanager
async def http_half(target: str, database: str, **options: Any) -> AsyncIterator[str]:
    """A balancer's HTTP half: its URL."""
    config = BalancerConfig(
        host=HERE, http_port=0, drain=0.5, http_only=True, grpc_target=target, database=database, **options
    )
    async with balancer_serving(config) as serving:
        yield serving.url


@asynccontextmanager
async def node(
    server: str, name: str, machine: dict[str, Any], engine_url: str = "", **options: Any
) -> AsyncIterator[str]:
    """A node with an engine that answers by itself."""
    config = NodeConfig(
        host=HERE, port=0, server=server, name=name, engine="mock", engine_url=engine_url, drain=0.5,
        **machine, **options,
    )  # fmt: skip
    async with node_serving(config) as serving:
        yield serving.url


async def until(fits: Callable[[], Awaitable[Any]]) -> Any:
    """What `fits` gives, once it gives something."""
    while not (found := await fits()):  # noqa: ASYNC110 - it comes about elsewhere
        await asyncio.sleep(0.01)
    return found


async def ready(stub: Any, count: int) -> dict[str, Any]:
    """Nodes by id, once there are so many and all are ready."""

    async def look() -> Any:
        fleet = await stub.GetFleet(pb.Empty())
        fit = [one for one in fleet.nodes if one.state == "ready" and one.model]
        return {one.client_id: one for one in fit} if len(fit) == len(fleet.nodes) == count else None

    found: dict[str, Any] = await until(look)
    return found
