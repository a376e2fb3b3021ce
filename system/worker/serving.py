"""A worker as a component: loaded, listening, registered; leaving unregisters first, then drains."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from system.component import Serving
from system.errors import UsageError
from system.grpc_server import grpc_server
from system.tokens import read_tokens
from system.worker.advertising import endpoint, warning
from system.worker.calls import Calls
from system.worker.config import WorkerConfig
from system.worker.identity import Identity
from system.worker.loading import load_worker
from system.worker.registrar import Entry, Registrar
from system.worker.service import SERVICE, InferenceService
from system.worker.worker import Worker

log = logging.getLogger("worker")


@asynccontextmanager
async def serving(config: WorkerConfig, worker: Worker | None = None) -> AsyncIterator[Serving]:
    """Serve the worker that the configuration names, or this one."""
    check(config)
    if config.processes > 1:
        async with _several(config) as started:
            yield started
        return
    worker = worker or load_worker(config.app)
    calls = Calls(config.threads)
    identity = Identity(name_of(config), config.registry)
    service = InferenceService(worker, calls, identity, config.max_concurrency)
    try:
        async with grpc_server(
            SERVICE, service.handler(), config, config.max_message, busy=lambda: service.running
        ) as (port, _):
            async with registered(config, port, worker.capabilities.attributes):
                yield Serving(url=url_of(config, port))
            service.ready = False
    finally:
        calls.close()


@asynccontextmanager
async def _several(config: WorkerConfig) -> AsyncIterator[Serving]:
    """One endpoint, several processes behind it. The worker's module is loaded by these only."""
    from system.worker.dispatcher import Dispatcher
    from system.worker.processes import processes

    async with processes(config, name_of(config)) as group:
        dispatcher = Dispatcher(group)
        handler = dispatcher.handler()
        server = grpc_server(SERVICE, handler, config, config.max_message, busy=group.in_progress)
        async with server as (port, _):
            async with registered(config, port, group.running[0].capabilities):
                yield Serving(url=url_of(config, port))
            dispatcher.leaving = True


def check(config: WorkerConfig) -> None:
    """Refuse what cannot work, all of it at once."""
    counts = {
        "threads": config.threads,
        "max-concurrency": config.max_concurrency,
        "processes": config.processes,
    }
    mistakes = [f"--{name} must be 1 or more, not {count}" for name, count in counts.items() if count < 1]
    mistakes += [
        f"--registry {url!r} must be a URL such as http://server1:8080"
        for url in config.registry
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname
    ]
    if mistakes:
        raise UsageError(mistakes)


def name_of(config: WorkerConfig) -> str:
    """The name to register: without --replica-id one that a restart keeps, where the port is fixed."""
    return config.replica_id or f"{socket.gethostname()}-{config.port or os.getpid()}"


def url_of(config: WorkerConfig, port: int) -> str:
    """Where the worker is reached."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"grpc{'s' if config.tls_cert else ''}://{host}:{port}"


@asynccontextmanager
async def registered(
    config: WorkerConfig, port: int, capabilities: Sequence[Mapping[str, Any]]
) -> AsyncIterator[None]:
    """Keep an endpoint registered at every registry; leaving takes it out everywhere, and lingers a moment.

    A client that was told of this worker a moment ago is still on its way.
    """
    token = next(iter(read_tokens(config.token_file)), None)
    async with AsyncExitStack() as stack:
        if config.registry:
            stack.push_async_callback(asyncio.sleep, config.linger)
        for url in config.registry:
            reached_at = endpoint(config.advertise, config.host, port, url)
            if (what := warning(reached_at, url)) is not None:
                log.warning("%s", what)
            entry = Entry(
                replica_id=name_of(config),
                endpoint=reached_at,
                capabilities=capabilities,
                ttl=config.ttl,
            )
            await stack.enter_async_context(Registrar(url, entry, token))
        yield
