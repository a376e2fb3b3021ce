"""A balancer as a component: both halves in one program, or one of them."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from system.advertising import bracketed
from system.balancer.asking import PlanError
from system.balancer.assignment import strategy_of
from system.balancer.balancer import Balancer
from system.balancer.fleet import Fleet
from system.balancer.leases import Leases
from system.balancer.links import LARGEST_MESSAGE, Links
from system.balancer.models import CatalogueError, Model, catalogue_entry
from system.balancer.service import BalancerService
from system.balancer.settings import BalancerConfig, Defaults
from system.balancer.wire import SERVICE
from system.component import Serving
from system.errors import StartupError, UsageError
from system.grpc_server import grpc_server
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
        links = Links(next(iter(read_tokens(config.token_file)), None), _credentials(config))
        stack.push_async_callback(links.close)
        leases = Leases(fleet, links)
        balancer = Balancer(fleet, links.ask)
        service = BalancerService(balancer, leases, defaults)
        server = grpc_server(SERVICE, service.handler(), config, LARGEST_MESSAGE, KEEPALIVE)
        bound, _ = await stack.enter_async_context(server)
        await stack.enter_async_context(leases.kept())
        log.info("🌐 Smart server listening on [%s]:%d", config.host, bound)
        log.info("Waiting for clients to connect...")
        yield Serving(url=f"grpc://{bracketed(config.host)}:{bound}")


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


def _credentials(config: BalancerConfig) -> grpc.ChannelCredentials | None:
    if config.node_ca is None:
        return None
    try:
        return grpc.ssl_channel_credentials(config.node_ca.read_bytes())
    except OSError as error:
        msg = f"--node-ca {config.node_ca}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
