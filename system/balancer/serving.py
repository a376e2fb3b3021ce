"""A balancer as a component: both halves in one program, or one of them."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import grpc

from system.advertising import bracketed, reachable_locally
from system.asgi import App
from system.balancer.asking import PlanError
from system.balancer.assignment import strategy_of
from system.balancer.balancer import Balancer
from system.balancer.fleet import Fleet
from system.balancer.links import LARGEST_MESSAGE, Links
from system.balancer.membership import Leases
from system.balancer.models import CatalogueError, Model, catalogue_entry
from system.balancer.service import BalancerService
from system.balancer.settings import BalancerConfig, Defaults
from system.balancer.storage import storage_at
from system.balancer.wire import SERVICE
from system.component import Serving
from system.errors import StartupError, UsageError
from system.grpc_server import grpc_server
from system.http_server import http_server
from system.tokens import read_tokens

log = logging.getLogger("balancer")

KEEPALIVE = (
    (
        "grpc.keepalive_time_ms",
        1_500,
    ),  # with its answer due in the same time: a pulled cable shows within 5 s
    ("grpc.keepalive_timeout_ms", 1_500),
    ("grpc.http2.max_pings_without_data", 0),
)


@asynccontextmanager
async def serving(config: BalancerConfig) -> AsyncIterator[Serving]:
    """Serve until the context is left."""
    defaults, fleet = checked(config)
    async with AsyncExitStack() as stack:
        served: Serving | None = None
        target = config.grpc_target
        if not config.http_only:
            served, target = await _grpc_half(stack, config, defaults, fleet)
        if not config.grpc_only:
            users = await _http_half(stack, config, target)
            log.info("HTTP for users at %s", users.url)
            served = served or users
        assert served is not None
        if config.console:
            await stack.enter_async_context(_console(config, target))
        yield served


async def _grpc_half(
    stack: AsyncExitStack, config: BalancerConfig, defaults: Defaults, fleet: Fleet
) -> tuple[Serving, str]:
    """Nodes' half, and where the other finds it."""
    links = Links(next(iter(read_tokens(config.token_file)), None), _credentials(config.node_ca, "--node-ca"))
    stack.push_async_callback(links.close)
    leases = Leases(fleet, links)
    service = BalancerService(Balancer(fleet, links.ask), leases, defaults)
    server = grpc_server(SERVICE, service.handler(), config, LARGEST_MESSAGE, KEEPALIVE)
    bound, _ = await stack.enter_async_context(server)
    await stack.enter_async_context(leases.kept())
    log.info("🌐 Smart server listening on [%s]:%d", config.host, bound)
    log.info("Waiting for clients to connect...")
    target = f"{bracketed(reachable_locally(config.host))}:{bound}"
    return Serving(url=f"grpc://{bracketed(config.host)}:{bound}"), target


async def _http_half(stack: AsyncExitStack, config: BalancerConfig, target: str) -> Serving:
    """Users' half, over the gRPC half at `target`."""
    from system.balancer.half import GrpcHalf
    from system.balancer.http import balancer_app

    token = next(iter(read_tokens(config.token_file)), None)
    half = GrpcHalf(target, token, _credentials(config.grpc_ca, "--grpc-ca"))
    stack.push_async_callback(half.close)
    storage = await stack.enter_async_context(storage_at(config.database))
    app = balancer_app(half, storage, config.cors)
    return await stack.enter_async_context(http_server(cast("App", app), config, port=config.http_port))


@asynccontextmanager
async def _console(config: BalancerConfig, target: str) -> AsyncIterator[None]:
    """Do what standard input says; its end is the program's, as if it had been told to stop."""
    from rich.console import Console as Screen

    from system.balancer.console import Console, lines
    from system.balancer.half import GrpcHalf

    token = next(iter(read_tokens(config.token_file)), None)
    half = GrpcHalf(target, token, _credentials(config.grpc_ca, "--grpc-ca"))
    running = asyncio.create_task(Console(half, Screen()).run(lines()))
    running.add_done_callback(lambda task: None if task.cancelled() else os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await half.close()


def checked(config: BalancerConfig) -> tuple[Defaults, Fleet]:
    """What the configuration means; raises UsageError with every mistake."""
    mistakes: list[str] = []
    catalogue: list[Model] = []
    for text in config.model:
        try:
            catalogue.append(catalogue_entry(text))
        except CatalogueError as error:
            mistakes.append(str(error))
    if config.grpc_only and config.http_only:
        mistakes.append("--grpc-only and --http-only exclude each other")
    try:
        defaults = Defaults.of(config)
        fleet = Fleet(strategy_of(config.assignment), catalogue)
    except (PlanError, LookupError) as error:
        raise UsageError([*mistakes, str(error)]) from None
    if mistakes:
        raise UsageError(mistakes)
    return defaults, fleet


def _credentials(ca: Path | None, option: str) -> grpc.ChannelCredentials | None:
    if ca is None:
        return None
    try:
        return grpc.ssl_channel_credentials(ca.read_bytes())
    except OSError as error:
        msg = f"{option} {ca}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
