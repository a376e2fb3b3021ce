"""When a started service is ready: by HTTP, TCP, gRPC health, a line of its log, or its end.

A condition is looked at again after a pause that grows from 5 to 100 ms; a service that ends while it is
waited for ends the wait at once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from harness.errors import EnvironmentFailure
from harness.hosts.relay import near
from harness.logtail import in_words, last_lines
from harness.model import Ready

if TYPE_CHECKING:
    from pathlib import Path

    from harness.clock import Clock
    from harness.hosts.base import Service
    from harness.model import ServiceSpec

FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.1
_ATTEMPT = 5.0
"""Seconds one attempt may hang before it is made again."""


class NotYet(Exception):
    """The condition does not hold yet; the text says what was seen instead."""


class Condition(NamedTuple):
    """A readiness condition: what holds when it holds, and a look at it that raises NotYet."""

    words: str
    look: Callable[[], Awaitable[None]]


async def wait_ready(service: Service, spec: ServiceSpec, *, clock: Clock, log: Path | None = None) -> str:
    """Wait until the service's readiness condition holds; returns it in words.

    Without a stated condition, all its ports accept; without ports, it has started. `log` is where its log is
    read if not at `service.log`. EnvironmentFailure when it ends first, or is not ready `within` its time.
    """
    ready = spec.ready or Ready()
    if ready.exit is not None:
        return await _wait_exit(service, ready.exit, ready.within)
    return await _wait(service, _condition(service, spec, ready, log or service.log), ready.within, clock)


def _condition(service: Service, spec: ServiceSpec, ready: Ready, log: Path | None) -> Condition:
    address = service.address
    if ready.http:
        url = _url(spec, ready.http)
        return Condition(f"GET {url} answers 2xx", partial(_http, url))
    if ready.grpc is not None:
        words = f"gRPC health at {address}:{ready.grpc} says SERVING"
        return Condition(words, partial(_grpc, service, ready.grpc))
    if ready.log:
        pattern = re.compile(ready.log, re.MULTILINE)
        return Condition(f"its log matches '{ready.log}'", partial(_log, pattern, log, service.log_from))
    ports = spec.ports if ready.tcp is None else (ready.tcp,)
    words = f"{address} accepts at port {' and '.join(map(str, ports))}" if ports else "it has started"
    return Condition(words, partial(_tcp, address, ports))


def _url(spec: ServiceSpec, path: str) -> str:
    url = urljoin(spec.url, path)
    if not urlsplit(url).hostname:
        msg = f"{spec.name} is to be ready when '{path}' answers, but has no url that this could be a path of"
        raise EnvironmentFailure(msg)
    return url


async def _wait_exit(service: Service, code: int, within: float) -> str:
    name = service.spec.name
    try:
        async with asyncio.timeout(within):
            ended = await service.exited()
    except TimeoutError:
        msg = f"{name} was to end with exit code {code} within {within:g} s and still runs{_tail(service)}"
        raise EnvironmentFailure(msg) from None
    if ended.code != code:
        msg = f"{name} was to end with exit code {code} and ended otherwise ({ended}){_tail(service)}"
        raise EnvironmentFailure(msg)
    return f"exit code {code}"


async def _wait(service: Service, condition: Condition, within: float, clock: Clock) -> str:
    name = service.spec.name
    ended = asyncio.ensure_future(service.exited())
    looking = asyncio.ensure_future(_until(condition.look, clock.monotonic() + within, clock))
    try:
        await asyncio.wait({ended, looking}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            msg = f"{name} ended ({ended.result()}) before it was ready{_tail(service)}"
            raise EnvironmentFailure(msg)
        if seen := looking.result():
            msg = f"{name} was not ready within {within:g} s (when {condition.words}): {seen}{_tail(service)}"
            raise EnvironmentFailure(msg)
        return condition.words
    finally:
        for task in (ended, looking):
            task.cancel()
        await asyncio.gather(ended, looking, return_exceptions=True)


def _tail(service: Service) -> str:
    return in_words(last_lines(service.log, service.log_from))


async def _until(look: Callable[[], Awaitable[None]], until: float, clock: Clock) -> str:
    """Look until the condition holds (returns "") or time is up (returns what was seen last)."""
    pause = FIRST_PAUSE
    while True:
        attempt = max(0.01, min(until - clock.monotonic(), _ATTEMPT))
        try:
            async with asyncio.timeout(attempt):
                await look()
        except NotYet as error:
            seen = str(error)
        except TimeoutError:
            seen = f"no answer in {attempt:.2g} s"
        except OSError as error:
            seen = error.strerror or str(error)
        else:
            return ""
        if clock.monotonic() + pause > until:
            return seen
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


async def _tcp(address: str, ports: tuple[int, ...]) -> None:
    for port in ports:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except ConnectionRefusedError as error:
            msg = f"nobody listens on {address}:{port}"
            raise NotYet(msg) from error
        writer.close()


async def _http(url: str) -> None:
    where = urlsplit(url)
    secure = where.scheme == "https"
    port = where.port or (443 if secure else 80)
    try:
        reader, writer = await asyncio.open_connection(where.hostname or "", port, ssl=secure or None)
    except ConnectionRefusedError as error:
        msg = f"nobody listens on {where.hostname}:{port}"
        raise NotYet(msg) from error
    try:
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
    finally:
        writer.close()
    status = line.split()[1:2]
    if not line.startswith(b"HTTP/") or not status:
        msg = f"it did not speak HTTP: {line[:60]!r}"
        raise NotYet(msg)
    if not status[0].startswith(b"2"):
        msg = f"it answered {line.decode(errors='replace').strip().partition(' ')[2]}"
        raise NotYet(msg)


async def _log(pattern: re.Pattern[str], log: Path | None, start: int) -> None:
    text = ""
    if log is not None and log.exists():
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    if not pattern.search(text):
        msg = f"its log has {text.count(chr(10))} lines, none of which matches"
        raise NotYet(msg)


async def _grpc(service: Service, port: int) -> None:
    await _tcp(service.address, (port,))  # a channel would wait a second before it tries again
    import grpc.aio
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(near(f"{service.address}:{port}"), options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError as error:
            msg = f"it answered {error.code().name}: {error.details()}"
            raise NotYet(msg) from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        msg = f"it answered {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"
        raise NotYet(msg)
