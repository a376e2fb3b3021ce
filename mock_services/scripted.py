"""What all mocks of an API share: a table of paths, faults on demand, a record, one log line per request.

`/control` changes what the mock does wrong (GET shows it, POST changes it, DELETE takes it back), `/record`
tells what it was asked since then, or since a DELETE of the record.
"""

import asyncio
import itertools
import json
import random
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from mock_services.faults import BadControl, Faults, Plan, Refusal, changed, faults_of
from mock_services.fields import JSON, BadRequest
from mock_services.record import Record
from system.asgi import (
    BodyTooLarge,
    ClientLeft,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_bytes,
    send_json,
)
from system.metrics import CONTENT_TYPE, exposition, single

CLIENT_LEFT = 499


@dataclass(slots=True)
class Exchange:
    """One request: what its log line tells."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str
    name: str
    model: str = "-"
    status: int = 0
    chunks: int = 0
    note: str = ""

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-served-by", self.name.encode()), (b"x-request-id", self.request_id.encode("latin-1"))]

    async def json(self, status: int, document: Any, *extra: tuple[bytes, bytes]) -> None:
        self.status = status
        await send_json(self.send, status, document, [*self.headers, *extra])

    async def wait(self, seconds: float | None) -> None:
        """Let time pass, for ever when it is None; raises ClientLeft when the client goes away meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientLeft

    def line(self) -> str:
        told = {"request_id": self.request_id, "model": self.model, "path": self.path, "status": self.status}
        return " ".join(f"{key}={_word(value)}" for key, value in told.items()) + self.note


def _word(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


Handler = Callable[[Exchange], Awaitable[None]]


class Scripted(ABC):
    """A mock of one API: a subclass adds paths for work, and words errors as its API does."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.plan = Plan(faults_of(config), time.monotonic())
        self.record = Record()
        self.requests = 0
        self.numbers = itertools.count(1)
        self.started = int(time.time())
        self.paths: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/ready": {"GET": self.health},
            "/metrics": {"GET": self.metrics},
            **{path: {"POST": handler} for path, handler in self.work().items()},
            "/control": {"GET": self.control, "POST": self.set_control, "DELETE": self.reset_control},
            "/record": {"GET": self.show_record, "DELETE": self.restart_record},
        }

    @abstractmethod
    def work(self) -> Mapping[str, Handler]:
        """The paths that requests for work are posted to, without `/v1`."""

    @abstractmethod
    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> JSON:
        """An error in the shape of the API."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = (header(scope, b"x-request-id") or b"").decode("latin-1") or f"req-{uuid.uuid4().hex}"
        exchange = Exchange(scope, receive, send, request_id, self.config.name)
        path = exchange.path.removeprefix("/v1")
        handlers = self.paths.get(path)
        with self.record.one(exchange) if path in self.work() else nullcontext():
            try:
                await self._handle(exchange, handlers)
            except BadRequest as error:
                body = self.error(error.status, str(error), param=error.param, code=error.code)
                await exchange.json(error.status, body)
            except BodyTooLarge:
                await exchange.json(413, self.error(413, "the body is too large"))
            except ClientLeft:
                exchange.status = CLIENT_LEFT
                exchange.note = f" client left after {exchange.chunks} chunks"
        if handlers is None or "POST" in handlers:
            print(exchange.line(), flush=True)

    async def _handle(self, exchange: Exchange, handlers: Mapping[str, Handler] | None) -> None:
        if handlers is None:
            msg = f"no such path; this service has {', '.join(self.paths)}"
            raise BadRequest(msg, status=404, code="not_found")
        method = exchange.scope["method"]
        handler = handlers.get(method) or handlers.get("GET" if method == "HEAD" else "")
        if handler is None:
            allowed = (b"allow", ", ".join(handlers).encode())
            await exchange.json(405, self.error(405, "method not allowed"), allowed)
        else:
            await handler(exchange)

    async def health(self, exchange: Exchange) -> None:
        healthy = not self.plan.faults.unhealthy
        told = {"service": self.config.name, "port": self.config.port, "requests": self.requests}
        await exchange.json(
            200 if healthy else 503, {"status": "healthy" if healthy else "unhealthy", **told}
        )

    async def metrics(self, exchange: Exchange) -> None:
        body = exposition(
            [single("muster_mock_requests_total", "counter", "Requests for work", self.requests)]
        )
        await send_bytes(exchange.send, 200, body, CONTENT_TYPE, exchange.headers)

    async def control(self, exchange: Exchange) -> None:
        await exchange.json(200, asdict(self.plan.faults))

    async def set_control(self, exchange: Exchange) -> None:
        try:
            faults = changed(self.plan.faults, json_of(await read_body(exchange.receive)))
        except BadControl as error:
            raise BadRequest(str(error)) from None
        await self._control(exchange, faults)

    async def reset_control(self, exchange: Exchange) -> None:
        await self._control(exchange, Faults())

    async def _control(self, exchange: Exchange, faults: Faults) -> None:
        self.plan = Plan(faults, time.monotonic())
        self.record.restart()
        await self.control(exchange)

    async def show_record(self, exchange: Exchange) -> None:
        await exchange.json(200, self.record.shown())

    async def restart_record(self, exchange: Exchange) -> None:
        self.record.restart()
        await self.show_record(exchange)

    async def accepted(self, exchange: Exchange, check: Callable[[Any], JSON]) -> JSON | None:
        """A checked request, after whatever the faults do to it; None when it was answered already."""
        body = await read_body(exchange.receive)
        self.requests += 1
        document = json_of(body)
        if isinstance(document, dict) and isinstance(document.get("model"), str):
            exchange.model = document["model"]
        request = check(document)
        faults = self.plan.faults
        if faults.hang or faults.slow:
            await exchange.wait(faults.slow if not faults.hang else None)
        refusal = self.plan.refusal(time.monotonic(), random.random())
        if refusal is None:
            return request
        await self._refuse(exchange, refusal)
        return None

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        if refusal.retry_after is None:
            await exchange.json(refusal.status, self.error(refusal.status, "told to fail"))
        else:
            after = (b"retry-after", b"%d" % max(1, round(refusal.retry_after)))
            await exchange.json(refusal.status, self.error(refusal.status, "rate limit reached"), after)

    async def stream(self, exchange: Exchange, events: Iterator[bytes], last: bytes, broken: bytes) -> None:
        """Send server-sent events; `last` ends a whole stream, `broken` one that was told to err."""
        exchange.status = 200
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache"),
            *exchange.headers,
        ]
        await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in events:
            faults = self.plan.faults
            if faults.break_stream is not None and exchange.chunks >= faults.break_stream:
                exchange.note = f" stream broken after {exchange.chunks} chunks"
                return  # an answer that is not completed: the server closes the connection
            if faults.error_in_stream is not None and exchange.chunks >= faults.error_in_stream:
                exchange.note = f" stream erred after {exchange.chunks} chunks"
                last = broken
                break
            await exchange.wait(self.config.interval + faults.slow_chunks)
            await exchange.send({"type": "http.response.body", "body": event, "more_body": True})
            exchange.chunks += 1
        await exchange.send({"type": "http.response.body", "body": last})


def json_of(body: bytes) -> Any:
    """The body as JSON; BadRequest when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = f"the body is not valid JSON: {error}"
        raise BadRequest(msg) from None
