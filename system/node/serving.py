"""A node as a component: its engine open, listening, attending; leaving says goodbye first, then drains."""

import asyncio
import contextlib
import logging
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module

import grpc

from system.advertising import address_towards, bracketed, is_loopback, is_wildcard
from system.balancer.scoring import Specs, performance_score
from system.balancer.wire import SERVICE, model_message, specs_message
from system.component import Serving
from system.errors import StartupError, UsageError
from system.grpc_server import grpc_server
from system.node.attendance import Attendance
from system.node.config import NodeConfig
from system.node.engines import ENGINES
from system.node.engines.base import Opened
from system.node.hardware import specs
from system.node.keeper import Keeper
from system.node.service import NodeService
from system.proto import load_balancer_pb2 as pb
from system.tokens import read_tokens

log = logging.getLogger("node")

LARGEST_MESSAGE = 256 * 1024 * 1024


@asynccontextmanager
async def serving(config: NodeConfig) -> AsyncIterator[Serving]:
    """Serve until the context is left."""
    host, _, port = config.server.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError([f"--server {config.server!r} must be HOST:PORT, such as server1:50051"])
    machine = reported(config, specs())
    client_id = config.name or f"client-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    log.info("Client ID: %s", client_id)
    async with opened(config.engine)(config.engine_url) as engine:
        keeper = Keeper(engine)
        await keeper.look()
        service = NodeService(client_id, engine, keeper)
        async with grpc_server(SERVICE, service.handler(), config, LARGEST_MESSAGE) as (bound, _):
            log.info("🌐 Smart client server listening on port %d", bound)

            def info() -> pb.ClientInfo:
                return _info(config, client_id, machine, keeper, bound, can_install=engine.can_install)

            token = next(iter(read_tokens(config.token_file)), None)
            attendance = Attendance(
                config.server, info, keeper, lambda: service.in_progress, _credentials(config), token
            )
            keeping = asyncio.create_task(attendance.keep())
            try:
                yield Serving(url=f"grpc://{bracketed(config.host)}:{bound}")
            finally:
                await attendance.leave()
                keeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeping
                await keeper.close()


def opened(name: str) -> Opened:
    """The engine of a name, not yet opened."""
    module, _, attribute = ENGINES[name].partition(":")
    found: Opened = getattr(import_module(module), attribute)
    return found


def reported(config: NodeConfig, machine: Specs) -> Specs:
    """This machine's specs, with what was told instead."""
    return replace(
        machine,
        cpu_cores=config.cores or machine.cpu_cores,
        cpu_frequency_ghz=config.ghz or machine.cpu_frequency_ghz,
        ram_gb=config.ram or machine.ram_gb,
        gpu_info=config.gpu or machine.gpu_info,
        gpu_memory_gb=config.gpu_memory or machine.gpu_memory_gb,
    )


def reached_at(config: NodeConfig, bound: int) -> tuple[str, int]:
    """The host and port to register."""
    host, _, port = config.advertise.partition(":")
    if host:
        return host, int(port or bound)
    if not is_wildcard(config.host):
        return config.host, bound
    own = address_towards(f"http://{config.server}")
    if own is None:
        log.warning("no way to %s: registering this machine's name", config.server)
        return socket.gethostname(), bound
    if is_loopback(own):
        return "127.0.0.1", bound
    return own, bound


def _info(
    config: NodeConfig, client_id: str, machine: Specs, keeper: Keeper, bound: int, *, can_install: bool
) -> pb.ClientInfo:
    host, port = reached_at(config, bound)
    return pb.ClientInfo(
        client_id=client_id,
        hostname=socket.gethostname(),
        ip_address=host,
        specs=specs_message(machine, performance_score(machine)),
        port=port,
        key=config.name or f"{socket.gethostname()}/{host}:{port}",
        installed=[model_message(model) for model in keeper.installed],
        can_install=can_install,
    )


def _credentials(config: NodeConfig) -> grpc.ChannelCredentials | None:
    if config.server_ca is None:
        return None
    try:
        return grpc.ssl_channel_credentials(config.server_ca.read_bytes())
    except OSError as error:
        msg = f"--server-ca {config.server_ca}: cannot be read: {error.strerror}"
        raise StartupError(msg) from None
