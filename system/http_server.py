"""An ASGI app on uvicorn, as an async context manager: entered when it listens, left when it has drained."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from system.asgi import App, Message, Receive, Scope, Send, header, send_json
from system.component import ComponentConfig, Serving
from system.errors import StartupError, UsageError
from system.listening import listen, url_of
from system.tokens import is_allowed, read_tokens

if TYPE_CHECKING:
    import uvicorn

OPEN_PATHS = frozenset({"/health", "/ready", "/ui"})
"""Answered without a token: probes carry none, and the page has to ask for it."""
KEEP_ALIVE = (
    75  # seconds: longer than a client's pool keeps a connection, so that the client is who closes it
)


@asynccontextmanager
async def http_server(
    app: App,
    config: ComponentConfig,
    *,
    port: int | None = None,
    reuse_port: bool = False,
    protocol: "type[asyncio.Protocol] | Literal['httptools']" = "httptools",
    listener: socket.socket | None = None,
    farewell: float = 0.0,
) -> AsyncIterator[Serving]:
    """Serve an app at the configured address (or another port of it) until the context is left.

    `protocol` is uvicorn's for HTTP, or a class made from it. A `listener` that is given is used as it is.
    Leaving stops accepting, lets open requests finish for `config.drain` seconds, then cancels them. Before
    that, for up to `farewell` seconds, connections that clients keep open are still served, and answers on
    them say that they are the last: no client finds its connection closed under its request.
    """
    leaving = asyncio.Event()
    guarded = _guarded(app, read_tokens(config.token_file))
    if farewell:
        guarded = _parting(guarded, leaving)
    tls = tls_context(config)
    if listener is None:
        listener = listen(config.host, config.port if port is None else port, reuse_port=reuse_port)
    try:
        server = _uvicorn(guarded, config, tls, protocol)
        await server.startup(sockets=[listener])
    except BaseException:
        listener.close()
        raise
    ticking = asyncio.create_task(server.main_loop())
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ticking.add_done_callback(lambda task: _report_end(task, ended))
    try:
        yield Serving(url=url_of(listener, "https" if tls else "http"), ended=ended)
    finally:
        if farewell:
            leaving.set()
            await _part(server, farewell)
        await _shut_down(server, ticking, listener)


def _report_end(task: asyncio.Task[None], ended: asyncio.Future[str]) -> None:
    if not task.cancelled() and not ended.done():
        ended.set_result(f"the HTTP server stopped: {task.exception() or 'no reason given'}")


def _uvicorn(
    app: App,
    config: ComponentConfig,
    tls: ssl.SSLContext | None,
    protocol: "type[asyncio.Protocol] | Literal['httptools']",
) -> "uvicorn.Server":
    import uvicorn

    logging.getLogger("uvicorn.error").addFilter(_is_news)
    settings: dict[str, Any] = {"timeout_graceful_shutdown": config.drain}
    if tls is not None:
        # uvicorn wants a file name beside the factory; the factory's context is what is used
        settings |= {"ssl_certfile": config.tls_cert, "ssl_context_factory": lambda *_: tls}
    options = uvicorn.Config(
        app,
        loop="none",
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        **settings,
    )
    options.load()
    server = uvicorn.Server(options)
    server.lifespan = options.lifespan_class(options)
    return server


def _is_news(record: logging.LogRecord) -> bool:
    """Uvicorn counts the requests that the end of the drain cut off; their traces say nothing more."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


async def _part(server: "uvicorn.Server", seconds: float) -> None:
    """Accept nothing new; serve the connections there are until they end, or the time is over."""
    for one in server.servers:
        one.close()
    deadline = asyncio.get_running_loop().time() + seconds
    # uvicorn has a set of connections, and no event for when it is empty
    while server.server_state.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _parting(app: App, leaving: asyncio.Event) -> App:
    """The app, whose answers end their connections once it is leaving."""

    async def parting(scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: Message) -> None:
            if message["type"] == "http.response.start" and leaving.is_set():
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, last)

    return parting


async def _shut_down(server: "uvicorn.Server", ticking: asyncio.Task[None], listener: Any) -> None:
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking
    await server.shutdown(sockets=[listener])
    if server.server_state.tasks:
        await asyncio.wait(server.server_state.tasks, timeout=1)


def tls_context(config: ComponentConfig) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        if config.tls_key or config.tls_client_ca:
            raise UsageError(["--tls-key and --tls-client-ca need --tls-cert"])
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.tls_cert, config.tls_key)
        if config.tls_client_ca:
            context.load_verify_locations(config.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(
            str(path) for path in (config.tls_cert, config.tls_key, config.tls_client_ca) if path
        )
        msg = f"cannot use the TLS files {files}: {error.strerror or error}"
        raise StartupError(msg) from None
    return context


def _guarded(app: App, tokens: tuple[str, ...]) -> App:
    """The app behind its bearer tokens, if there are any."""
    if not tokens:
        return app

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS or is_allowed(tokens, header(scope, b"authorization")):
            await app(scope, receive, send)
        else:
            error = {"error": {"message": "a valid bearer token is required", "type": "authentication_error"}}
            await send_json(send, 401, error, [(b"www-authenticate", b"Bearer")])

    return guard
