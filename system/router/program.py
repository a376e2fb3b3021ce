"""`python -m system router`: discovery, probing and the front, started and stopped together."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Annotated

from system.breaker import BreakerSettings
from system.component import ComponentConfig, Program, Serving
from system.config_values import Duration, Port
from system.errors import StartupError, UsageError
from system.http_server import tls_context
from system.listening import listen, url_of
from system.router.discovery import Registry
from system.router.entries import Entry
from system.router.exchange import Exchange
from system.router.files import load_callers, load_static
from system.router.front import Front
from system.router.outcomes import Outcome
from system.router.pages import Pages
from system.router.policies import POLICIES, Options
from system.router.probing import Probing
from system.router.proxy import Proxy, Settings, Timeouts
from system.router.reader import Limits
from system.router.table import Changes, Table
from system.tokens import read_tokens

access = logging.getLogger("router.access")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig(ComponentConfig):
    """What a router can be told."""

    port: Annotated[Port, "the port to listen on"] = 8000
    registry: Annotated[tuple[str, ...], "a registry's URL"] = ()
    static_services: Annotated[Path | None, "file with services that are always there (JSON)"] = None
    policy: Annotated[str, "how a backend is chosen: " + ", ".join(POLICIES)] = "least-outstanding"
    session_header: Annotated[str, "the header that names a session, where no prompt_cache_key does"] = (
        "session"
    )
    overload: Annotated[
        float, "how far above the average a backend's load may be before affinity gives way"
    ] = 1.25
    cache_type_threshold: Annotated[
        int, "bytes of text above which policy cache-type wants a static cache"
    ] = 51_200
    breaker_share: Annotated[float, "share of failures that opens a backend's breaker"] = 0.5
    breaker_volume: Annotated[int, "requests within the window below which it stays closed"] = 10
    breaker_window: Annotated[Duration, "the window in which failures are counted"] = 10.0
    breaker_open: Annotated[Duration, "how long it stays open at first"] = 5.0
    ejectable: Annotated[float, "share of a model's backends that breakers may take out at a time"] = 0.5
    retry_share: Annotated[float, "retries and hedges, as a share of requests"] = 0.2
    hedge_after: Annotated[
        Duration, "time without a first byte after which another is asked too; 0: never"
    ] = 0.0
    max_outstanding: Annotated[int, "requests one backend may have at a time; 0: any number"] = 0
    queue: Annotated[int, "requests per model that may wait for a backend to have room"] = 100
    queue_wait: Annotated[Duration, "how long they may wait"] = 30.0
    poll_interval: Annotated[Duration, "how often a registry is asked"] = 0.15
    registry_timeout: Annotated[Duration, "how long a registry may take to answer"] = 2.0
    registry_grace: Annotated[
        Duration, "how long services are kept that a registry, back after it was away, does not list yet"
    ] = 10.0
    probe_interval: Annotated[Duration, "how often a backend is probed"] = 1.0
    probe_failures: Annotated[int, "probes without an answer after which a backend is a last resort"] = 2
    probe_timeout: Annotated[Duration, "how long a backend may take to answer a probe"] = 1.0
    connect_timeout: Annotated[Duration, "how long a connection to a backend may take"] = 2.0
    first_byte_timeout: Annotated[Duration, "how long a backend may take to begin its answer"] = 600.0
    gap_timeout: Annotated[Duration, "how long a backend may pause within its answer"] = 300.0
    total_timeout: Annotated[Duration, "how long an answer may take as a whole"] = 1800.0
    request_timeout: Annotated[Duration, "how long a client may take to send a request"] = 30.0
    keep_alive: Annotated[Duration, "how long a client's connection may be idle"] = 75.0
    max_body: Annotated[int, "the largest request body, in bytes"] = 128 * 1024 * 1024
    callers: Annotated[Path | None, "file with callers: tokens, the models each may use, rates (TOML)"] = None
    backend_ca: Annotated[Path | None, "CA (PEM) that https backends and registries are verified with"] = None
    access_log: Annotated[bool, "a line per proxied request"] = False


@asynccontextmanager
async def serve(config: RouterConfig) -> AsyncIterator[Serving]:
    """A running router: listening and knowing its backends on enter, drained on leave."""
    if config.policy not in POLICIES:
        raise UsageError([f"--policy: {config.policy!r} must be one of {', '.join(POLICIES)}"])
    proxy = _proxy(config)
    probing = Probing(
        proxy,
        interval=config.probe_interval,
        timeout=config.probe_timeout,
        patience=config.probe_failures,
        random=Random(),
    )
    proxy.found_down = probing.hurry

    followers = _Followers(proxy, probing)
    if config.static_services is not None:
        followers.listed("static", load_static(config.static_services))
    registries = [_registry(url, config, followers) for url in config.registry]
    proxy.add_pages(Pages(proxy, registries).table())
    tls = tls_context(config)
    listener = listen(config.host, config.port)
    await asyncio.gather(*(registry.ask() for registry in registries))
    async with _running(proxy.watch_time(), *(registry.follow() for registry in registries)):
        server = await asyncio.get_running_loop().create_server(lambda: Front(proxy), sock=listener, ssl=tls)
        try:
            yield Serving(url=url_of(listener, "https" if tls else "http"))
        finally:
            proxy.draining = True
            server.close()
            await proxy.drain(config.drain)
            await probing.close()


def _proxy(config: RouterConfig) -> Proxy:
    options = Options(overload=config.overload, cache_type_threshold=config.cache_type_threshold)
    tokens = read_tokens(config.token_file)
    return Proxy(
        Table(
            lambda _: POLICIES[config.policy](options),
            breaker=BreakerSettings(
                window=config.breaker_window,
                min_volume=config.breaker_volume,
                failure_share=config.breaker_share,
                open_for=config.breaker_open,
            ),
            ejectable=config.ejectable,
        ),
        settings=_settings(config, tokens),
        callers=load_callers(config.callers, tokens),
        access_log=log_access if config.access_log else None,
    )


def _client_tls(ca: Path | None) -> Callable[[], ssl.SSLContext]:
    """How https backends and registries are verified; made when the first one is met."""
    make = cache(lambda: ssl.create_default_context(cafile=ca))
    if ca is not None:
        try:
            make()
        except (OSError, ssl.SSLError) as error:
            msg = f"--backend-ca {ca}: cannot be used: {error.strerror or error}"
            raise StartupError(msg) from None
    return make


def _settings(config: RouterConfig, tokens: tuple[str, ...]) -> Settings:
    return Settings(
        limits=Limits(body=config.max_body, keep_alive=config.keep_alive, request=config.request_timeout),
        timeouts=Timeouts(
            connect=config.connect_timeout,
            first_byte=config.first_byte_timeout,
            gap=config.gap_timeout,
            total=config.total_timeout,
        ),
        tls=_client_tls(config.backend_ca),
        peer_headers=f"authorization: Bearer {tokens[0]}\r\n".encode() if tokens else b"",
        session_header=config.session_header,
        retry_share=config.retry_share,
        hedge_after=config.hedge_after,
        outstanding=config.max_outstanding,
        queue=config.queue,
        queue_wait=config.queue_wait,
    )


class _Followers:
    """What a registry says reaches the table, the connections and the probes."""

    def __init__(self, proxy: Proxy, probing: Probing) -> None:
        self._proxy = proxy
        self._probing = probing

    def listed(self, source: str, entries: list[Entry]) -> None:
        self._follow(self._proxy.table.replace(source, entries))

    def changed(self, source: str, put: Sequence[Entry], drop: Sequence[str]) -> None:
        self._follow(self._proxy.table.update(source, put, drop))

    def _follow(self, changes: Changes) -> None:
        self._proxy.changed(changes)
        self._probing.end(changes.removed)
        self._probing.begin(changes.added)


def _registry(url: str, config: RouterConfig, followers: _Followers) -> Registry:
    tokens = read_tokens(config.token_file)
    return Registry(
        url,
        followers,
        interval=config.poll_interval,
        timeout=config.registry_timeout,
        grace=config.registry_grace,
        token=tokens[0] if tokens else "",
        tls=_client_tls(config.backend_ca),
    )


@asynccontextmanager
async def _running(*coroutines: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def log_access(exchange: Exchange, outcome: Outcome) -> None:
    """One line per proxied request, once it has ended."""
    backend = exchange.tried[-1].name if exchange.tried else "-"
    access.info(
        "Proxied POST %s (model: %s) -> %s (%d, %s) request_id=%s attempts=%d ms=%.1f",
        exchange.request.path.decode("ascii", "replace"),
        exchange.asked.model[:200],
        backend,
        exchange.status,
        outcome.word,
        exchange.request.id.decode("ascii", "replace"),
        len(exchange.tried),
        (exchange.proxy.clock() - exchange.began) * 1000,
    )


PROGRAM = Program(
    name="router",
    about="An OpenAI-compatible front for every model on every server.",
    config=RouterConfig,
    serve=serve,
)
