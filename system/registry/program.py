"""`python -m system registry`: who is there, what they can do, and whether they are still alive."""

import asyncio
import contextlib
import logging
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from system.component import ComponentConfig, Program, Serving
from system.config_values import Duration, Port
from system.errors import UsageError
from system.http_server import http_server
from system.registry.access import Access
from system.registry.app import RegistryApp
from system.registry.context import Context, Limits
from system.registry.documentation import Documentation
from system.registry.http import Routes
from system.registry.peers import SHORTEST, Keepalive, Peers
from system.registry.probes import Prober
from system.registry.replicas import Replicas
from system.registry.services import Services
from system.registry.status import Status
from system.registry.stores import store_of
from system.registry.ui import Ui
from system.registry.watch import Watch
from system.tokens import read_tokens

log = logging.getLogger("registry")

SPARE_FILES = 100
Policy = Literal["random", "round-robin", "least-recent", "weighted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig(ComponentConfig):
    """What a registry can be told."""

    port: Annotated[Port, "the port to listen on"] = 18000
    health_interval: Annotated[Duration, "how often every entry is probed; 0 for never"] = 30.0
    health_timeout: Annotated[Duration, "how long a probe may take"] = 5.0
    store: Annotated[str, "memory, or redis://HOST:PORT to share the table with other processes"] = "memory"
    dead_after: Annotated[
        Duration, "how long after its cable was pulled a connection is given up, at least 3s"
    ] = 5.0
    hold_suspects: Annotated[Duration, "how long a capability that fell silent at once is served; 0: not"] = (
        30.0
    )
    choice: Annotated[Policy, "how one of several matching replicas is chosen"] = "random"
    max_connections: Annotated[int, "connections at once"] = 15_000
    max_body: Annotated[int, "bytes of a request's body"] = 2 * 1024 * 1024
    max_kept: Annotated[int, "bytes of metadata and capabilities of all entries together"] = 256 * 1024 * 1024
    read_token_file: Annotated[Path | None, "file with bearer tokens that may only read"] = None
    max_entries: Annotated[int, "entries that one caller may register"] = 20_000


@asynccontextmanager
async def serve(config: RegistryConfig) -> AsyncIterator[Serving]:
    """Entered when it listens, left when it has drained."""
    _check(config)
    _allow_open_files(config.max_connections)
    peers = Peers(config.max_connections, Keepalive.within(config.dead_after))
    limits = Limits(
        body=config.max_body,
        entries_per_caller=config.max_entries,
        kept=config.max_kept,
        hold=config.hold_suspects,
    )
    context = Context(limits, _access(config), peers)
    prober = Prober(context.live, config.health_timeout)
    app = registry_app(context, prober, config.choice)
    store = store_of(config.store)
    # Reading and writing are told apart here, so the server is not given the tokens to check them itself.
    server = http_server(app, replace(config, token_file=None), protocol=peers.protocol())
    try:
        async with store(config.store, context), server as serving, _probing(prober, config.health_interval):
            try:
                yield serving
            finally:
                await context.drain()
    finally:
        context.close()


def _check(config: RegistryConfig) -> None:
    """UsageError with everything that cannot be kept."""
    mistakes = []
    if config.dead_after < SHORTEST:
        mistakes.append(
            f"--dead-after {config.dead_after:g}s cannot be kept: TCP counts in whole seconds and takes "
            f"{SHORTEST:g} s at least"
        )
    if config.read_token_file and not config.token_file:
        mistakes.append("--read-token-file needs --token-file: without it anybody may write")
    if mistakes:
        raise UsageError(mistakes)


def _access(config: RegistryConfig) -> Access:
    return Access(read_tokens(config.token_file), read_tokens(config.read_token_file, "--read-token-file"))


def _allow_open_files(connections: int) -> None:
    """A connection is an open file, and shells allow few of them unless asked."""
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and (hard == resource.RLIM_INFINITY or soft < hard):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted:
        log.warning(
            "may open %d files, too few for --max-connections %d; raise `ulimit -n`", soft, connections
        )


def registry_app(context: Context, prober: Prober, choice: str) -> RegistryApp:
    """The app over one registry."""
    routes = Routes()
    for handlers in (
        Services(context, prober),
        Replicas(context, choice),
        Watch(context),
        Status(context, prober),
        Documentation(routes),
        Ui(),
    ):
        handlers.add_to(routes)
    return RegistryApp(context, routes)


@asynccontextmanager
async def _probing(prober: Prober, interval: float) -> AsyncIterator[None]:
    if not interval:
        yield
        return
    task = asyncio.create_task(prober.keep_probing(interval))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


PROGRAM = Program(
    name="registry",
    about="A registry of services and replicas: registration, leases, discovery.",
    config=RegistryConfig,
    serve=serve,
)
