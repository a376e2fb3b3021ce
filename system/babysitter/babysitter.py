"""A babysitter put together: supervisor, registrations and its own HTTP, in the order of their lives."""

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from system.advertising import address_towards, bracketed, is_wildcard, warning_about
from system.babysitter.config import BabysitterConfig
from system.babysitter.pages import Pages
from system.babysitter.registrar import Registrar
from system.babysitter.registration import Registration
from system.babysitter.supervisor import Supervisor
from system.component import Serving
from system.http_client import HttpClient
from system.http_server import http_server
from system.tokens import read_tokens

log = logging.getLogger("babysitter")

UNREGISTER_WITHIN = 2.0


@asynccontextmanager
async def babysitter(config: BabysitterConfig) -> AsyncIterator[Serving]:
    """Entered when its HTTP is up; left when both names are unregistered and the backend has stopped."""
    config.check()
    tokens = read_tokens(config.token_file)
    supervisor = Supervisor(config, HttpClient())
    supervisor.check()
    log.info("Starting Enhanced Babysitter %s for a backend on port %d", config.service_name, config.port)
    advertised = _advertised(config)
    entries = _Entries(config, supervisor, advertised)
    client = HttpClient(tokens[0] if tokens else None)
    own = [entries.own(client, url) for url in config.registry_url]
    backend = [entries.backend(client, url) for url in config.registry_url]
    supervisor.listeners.serving += [registrar.want for registrar in backend]
    supervisor.listeners.alive += [registrar.confirm for registrar in backend]
    supervisor.listeners.gone += [registrar.drop for registrar in backend]
    pages = Pages(supervisor, advertised, own, backend)
    async with http_server(pages, config, port=config.port + 1) as serving, AsyncExitStack() as stack:
        log.info("Babysitter HTTP server started on port %d", config.port + 1)
        for registrar in (*own, *backend):
            await stack.enter_async_context(registrar)
        for registrar in own:
            registrar.want()
        supervising = asyncio.create_task(supervisor.run())
        try:
            yield replace(serving, ended=_first_end(supervising, serving))
        finally:
            await _unregister([*own, *backend])
            supervising.cancel()
            await asyncio.wait({supervising})


def _first_end(supervising: asyncio.Task[str], serving: Serving) -> asyncio.Future[str]:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def report(future: asyncio.Future[str]) -> None:
        if not future.cancelled() and not ended.done():
            ended.set_result(str(future.exception() or future.result()))

    supervising.add_done_callback(report)
    if serving.ended is not None:
        serving.ended.add_done_callback(report)
    return ended


async def _unregister(registrars: Sequence[Registrar]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(UNREGISTER_WITHIN):
            await asyncio.gather(*(registrar.removed() for registrar in registrars))


def _advertised(config: BabysitterConfig) -> str:
    """The address to register; says what it chose and what is wrong with it."""
    first = config.registry_url[0] if config.registry_url else None
    if config.advertise_host:
        address = config.advertise_host
    elif is_wildcard(config.host) and first is not None:
        address = address_towards(first) or config.host
        log.info(
            "registering %s, this machine's address towards %s; --advertise-host sets another", address, first
        )
    else:
        address = config.host
    warning = warning_about(address, urlsplit(first).hostname) if first is not None else None
    if warning:
        log.warning("%s", warning)
    return address


class _Entries:
    """What the registry is told about the two names."""

    def __init__(self, config: BabysitterConfig, supervisor: Supervisor, advertised: str) -> None:
        self._config = config
        self._supervisor = supervisor
        self._advertised = advertised

    def own(self, client: HttpClient, url: str) -> Registrar:
        config = self._config
        metadata = {"type": config.service_type, "babysitter": "enhanced"}
        scheme = "https" if config.tls_cert else "http"
        registration = self._registration()
        registration.confirm(math.inf)  # whoever sends these heartbeats is alive
        return Registrar(
            client,
            url,
            config.service_name,
            registration,
            lambda: self._body(config.service_name, config.port + 1, scheme, metadata),
            lambda: f"Babysitter registered with registry {url}",
        )

    def backend(self, client: HttpClient, url: str) -> Registrar:
        config, supervisor = self._config, self._supervisor
        return Registrar(
            client,
            url,
            config.backend_name,
            self._registration(),
            lambda: self._body(config.backend_name, config.port, "http", self._backend_metadata()),
            lambda: f"Managed service registered with registry ({len(supervisor.models)} models) {url}",
        )

    def _registration(self) -> Registration:
        return Registration(interval=self._config.heartbeat_interval, ttl=self._config.time_to_live)

    def _backend_metadata(self) -> dict[str, Any]:
        models = self._supervisor.models
        return {
            "type": "openai-api",
            "parent_service": self._config.service_name,
            "babysitter": "enhanced",
            "models": [model["id"] for model in models],
            "models_list": models,
            **self._config.metadata,
        }

    def _body(self, name: str, port: int, scheme: str, metadata: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "host": self._advertised,
            "port": port,
            "hostname": socket.gethostname(),
            "url": f"{scheme}://{bracketed(self._advertised)}:{port}",
            "status": "running",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "ttl": self._config.time_to_live,
            "metadata": metadata,
        }
