"""`python -m system router`: discovery, probing and the front, in one process or in several on one port."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from system.breaker import BreakerSettings
from system.component import Program, Serving
from system.errors import StartupError, UsageError
from system.http_server import tls_context
from system.listening import BACKLOG, listen, url_of
from system.router.discovery import Registry
from system.router.entries import Entry
from system.router.exchange import Exchange
from system.router.files import load_callers, load_static
from system.router.front import Front
from system.router.outcomes import Outcome
from system.router.pages import Pages
from system.router.policies import POLICIES, Options
from system.router.probing import Probing
from system.router.proxy import Proxy
from system.router.rules import Limits, Settings, Timeouts
from system.router.settings import RouterConfig
from system.router.sharing import Shared
from system.router.suspicion import Suspicion
from system.router.table import Changes, Table
from system.router.upstream import notice_a_cut
from system.tokens import read_tokens

__all__ = ["PROGRAM", "RouterConfig", "router", "serve"]

access = logging.getLogger("router.access")


@asynccontextmanager
async def serve(config: RouterConfig) -> AsyncIterator[Serving]:
    """A running router: listening and knowing its backends on enter, drained on leave."""
    _check(config)
    listener = listen(config.host, config.port)
    url = url_of(listener, "https" if tls_context(config) else "http")
    if config.workers > 1:
        from system.router.workers import workers

        async with workers(config, listener) as ended:
            yield Serving(url=url, ended=ended)
        return
    async with router(config, listener, None):
        yield Serving(url=url)


def _check(config: RouterConfig) -> None:
    mistakes = []
    if config.policy not in POLICIES:
        mistakes.append(f"--policy: {config.policy!r} must be one of {', '.join(POLICIES)}")
    if not 1 <= config.workers <= 64:
        mistakes.append(f"--workers: {config.workers} must be a number from 1 to 64")
    if mistakes:
        raise UsageError(mistakes)


@asynccontextmanager
async def router(config: RouterConfig, listener: socket.socket, shared: Shared | None) -> AsyncIterator[None]:
    """One process of a router: serving and knowing its backends on enter, drained on leave."""
    proxy = _proxy(config)
    probing = Probing(
        proxy,
        interval=config.probe_interval,
        timeout=config.probe_timeout,
        patience=config.probe_failures,
        suspicion=Suspicion(config.suspect_after),
        suspect_timeout=config.suspect_timeout,
        random=Random(),
    )
    proxy.found_down = probing.hurry
    followers = _Followers(proxy, probing)
    if config.static_services is not None:
        followers.listed("static", load_static(config.static_services))
    registries = [_registry(url, config, followers) for url in config.registry]
    proxy.add_pages(Pages(proxy, registries, shared).table())
    tls = tls_context(config)
    notice_a_cut(listener, config.stall_timeout)  # accepted connections inherit it
    await asyncio.gather(*(registry.ask() for registry in registries))
    busy: list[Coroutine[Any, Any, None]] = [
        proxy.watch_time(),
        probing.watch_silence(),
        *(one.follow() for one in registries),
    ]
    if shared is not None:
        busy.append(shared.follow(proxy, registries))
    async with _running(busy):
        if shared is not None:
            await shared.welcomed.wait()
        server = await asyncio.get_running_loop().create_server(
            lambda: Front(proxy), sock=listener, ssl=tls, backlog=BACKLOG
        )
        try:
            yield
        finally:
            proxy.draining = True
            delay = min(config.drain_delay, config.drain)
            if delay:
                await asyncio.sleep(delay)
            server.close()
            await proxy.drain(config.drain - delay)
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
        callers=load_callers(config.callers, tokens, config.workers),
        access_log=access_logger(max(1, config.access_log_every)) if config.access_log else None,
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
        limits=Limits(
            body=config.max_body,
            keep_alive=config.keep_alive,
            request=config.request_timeout,
            stuck=config.stall_timeout,
        ),
        timeouts=Timeouts(
            connect=config.connect_timeout,
            first_byte=config.first_byte_timeout,
            gap=config.gap_timeout,
            total=config.total_timeout,
        ),
        tls=_client_tls(config.backend_ca),
        peer_headers=f"authorization: Bearer {tokens[0]}\r\n".encode() if tokens else b"",
        everything=config.proxy_everything,
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
async def _running(coroutines: Iterable[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def access_logger(every: int) -> Callable[[Exchange, Outcome], None]:
    """Writes a line for one of so many proxied requests, once it has ended."""
    numbers = count()

    def write(exchange: Exchange, outcome: Outcome) -> None:
        if next(numbers) % every == 0:
            _log_access(exchange, outcome)

    return write


def _log_access(exchange: Exchange, outcome: Outcome) -> None:
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
