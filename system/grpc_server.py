"""gRPC on a port, with health and reflection, until the context is left, which drains it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from system.component import ComponentConfig
from system.errors import StartupError, UsageError
from system.listening import listen
from system.tokens import is_allowed, read_tokens

OPEN_METHODS = "/grpc.health.v1.Health/"


@asynccontextmanager
async def grpc_server(
    service: str,
    handler: "grpc.GenericRpcHandler[Any, Any]",
    config: ComponentConfig,
    max_message: int,
    options: Sequence[tuple[str, Any]] = (),
    busy: Callable[[], int] = lambda: 0,
) -> AsyncIterator[tuple[int, HealthServicer]]:
    """Serve a service, with its port and its health; leaving lets open calls finish for `config.drain`.

    Its protobuf module must be loaded: reflection shows what is. `busy` says how many calls are in progress:
    the server is stopped when there are none, since gRPC may lose an answer that is just being sent.
    """
    server = grpc.aio.server(options=[*_options(max_message), *options], interceptors=_guards(config))
    server.add_generic_rpc_handlers((handler,))
    status = HealthServicer()
    await status.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    names = (service, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    port = _bind(server, config)
    await server.start()
    try:
        yield port, status
    finally:
        await status.enter_graceful_shutdown()
        left = await _idle(busy, config.drain)
        await server.stop(left)


async def _idle(busy: Callable[[], int], within: float) -> float:
    """Wait until nothing is in progress and the last answer is sent; returns the seconds that are left."""
    if not busy():
        return within
    deadline = time.monotonic() + within
    while busy() and time.monotonic() < deadline:  # noqa: ASYNC110 - calls are many, and none of them is waited for
        await asyncio.sleep(_LOOK)
    await asyncio.sleep(_SENT)
    return max(0.0, deadline - time.monotonic())


_LOOK, _SENT = 0.01, 0.05


def message_options(most: int) -> list[tuple[str, Any]]:
    """How large messages may be."""
    return [("grpc.max_receive_message_length", most), ("grpc.max_send_message_length", -1)]


def _options(max_message: int) -> list[tuple[str, Any]]:
    return [
        *message_options(max_message),
        ("grpc.so_reuseport", 0),  # a taken port is a mistake, not a second server behind it
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


def _bind(server: grpc.aio.Server, config: ComponentConfig) -> int:
    # gRPC does not say why it cannot listen: ask the kernel first
    with contextlib.closing(listen(config.host, config.port)):
        pass
    address = f"[{config.host}]:{config.port}" if ":" in config.host else f"{config.host}:{config.port}"
    credentials = _credentials(config)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        msg = f"cannot listen on {address}: {error}"
        raise StartupError(msg) from None


def _credentials(config: ComponentConfig) -> grpc.ServerCredentials | None:
    if config.tls_cert is None or config.tls_key is None:
        if config.tls_cert or config.tls_key or config.tls_client_ca:
            raise UsageError(["--tls-cert, --tls-key and --tls-client-ca: give the first two together"])
        return None
    pair = (_contents(config.tls_key), _contents(config.tls_cert))
    ca = _contents(config.tls_client_ca) if config.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], ca, ca is not None)


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot use the TLS file {path}: {error.strerror}"
        raise StartupError(msg) from None


def _guards(config: ComponentConfig) -> "list[grpc.aio.ServerInterceptor[Any, Any]]":
    tokens = read_tokens(config.token_file)
    return [_Guard(tokens)] if tokens else []


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic only in its stubs
    """Lets calls in that show a token; health needs none."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens = tokens

        async def refuse(_: Any, rpc: Any) -> None:
            await rpc.abort(grpc.StatusCode.UNAUTHENTICATED, "a valid bearer token is required")

        self._refusal = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        shown = dict(handler_call_details.invocation_metadata).get("authorization", "")
        if handler_call_details.method.startswith(OPEN_METHODS) or is_allowed(self._tokens, shown.encode()):
            return await continuation(handler_call_details)
        return self._refusal
