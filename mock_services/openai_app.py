"""The mock backend itself: a raw ASGI app with a table of paths."""

import asyncio
import itertools
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from mock_services import openai_answers as answers
from mock_services.faults import BadControl, Faults, Plan, Refusal, changed, faults_of
from mock_services.openai import OpenAIConfig
from mock_services.openai_answers import JSON, Answer, BadRequest
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

    path: str
    receive: Receive
    send: Send
    request_id: str
    name: str
    model: str = "-"
    status: int = 0
    chunks: int = 0
    note: str = ""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-served-by", self.name.encode()), (b"x-request-id", self.request_id.encode("latin-1"))]

    async def json(self, status: int, document: Any, *extra: tuple[bytes, bytes]) -> None:
        self.status = status
        await send_json(self.send, status, document, [*self.headers, *extra])

    def line(self) -> str:
        told = {"request_id": self.request_id, "model": self.model, "path": self.path, "status": self.status}
        return " ".join(f"{key}={_word(value)}" for key, value in told.items()) + self.note


def _word(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


Handler = Callable[[Exchange], Awaitable[None]]


class OpenAIMock:
    """Answers for one named backend; `/control` changes what it does wrong."""

    def __init__(self, config: OpenAIConfig) -> None:
        self.config = config
        self.plan = Plan(faults_of(config), time.monotonic())
        self.requests = 0
        self.numbers = itertools.count(1)
        self.started = int(time.time())
        self.paths: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/ready": {"GET": self.health},
            "/metrics": {"GET": self.metrics},
            "/models": {"GET": self.models},
            "/chat/completions": {"POST": self.chat},
            "/completions": {"POST": self.completions},
            "/embeddings": {"POST": self.embeddings},
            "/control": {"GET": self.control, "POST": self.set_control, "DELETE": self.reset_control},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = (header(scope, b"x-request-id") or b"").decode("latin-1") or f"req-{uuid.uuid4().hex}"
        exchange = Exchange(scope["path"], receive, send, request_id, self.config.name)
        handlers = self.paths.get(exchange.path.removeprefix("/v1"))
        try:
            if handlers is None:
                msg = f"no such path; this service has {', '.join(self.paths)}"
                raise BadRequest(msg, status=404, code="not_found")
            handler = handlers.get(scope["method"]) or handlers.get(
                "GET" if scope["method"] == "HEAD" else ""
            )
            if handler is None:
                await exchange.json(
                    405, _error("method not allowed"), (b"allow", ", ".join(handlers).encode())
                )
            else:
                await handler(exchange)
        except BadRequest as error:
            body = answers.error_body(str(error), param=error.param, code=error.code)
            await exchange.json(error.status, body)
        except BodyTooLarge:
            await exchange.json(413, _error("the body is too large"))
        except ClientLeft:
            exchange.status = CLIENT_LEFT
            exchange.note = f" client left after {exchange.chunks} chunks"
        if handlers is None or "POST" in handlers:
            print(exchange.line(), flush=True)

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

    async def models(self, exchange: Exchange) -> None:
        await exchange.json(200, answers.models_body(self.config.models, self.started))

    async def chat(self, exchange: Exchange) -> None:
        make = (answers.chat_body, answers.chat_chunks)
        await self._text(exchange, "chatcmpl", answers.CHAT_FIELDS, *make)

    async def completions(self, exchange: Exchange) -> None:
        make = (answers.completion_body, answers.completion_chunks)
        await self._text(exchange, "cmpl", answers.COMPLETION_FIELDS, *make)

    async def embeddings(self, exchange: Exchange) -> None:
        request = await self._accepted(exchange, answers.EMBEDDING_FIELDS)
        if request is not None:
            await exchange.json(200, answers.embeddings_body(request))

    async def control(self, exchange: Exchange) -> None:
        await exchange.json(200, asdict(self.plan.faults))

    async def set_control(self, exchange: Exchange) -> None:
        try:
            faults = changed(self.plan.faults, _json(await read_body(exchange.receive)))
        except BadControl as error:
            raise BadRequest(str(error)) from None
        await self._control(exchange, faults)

    async def reset_control(self, exchange: Exchange) -> None:
        await self._control(exchange, Faults())

    async def _control(self, exchange: Exchange, faults: Faults) -> None:
        self.plan = Plan(faults, time.monotonic())
        await self.control(exchange)

    async def _accepted(self, exchange: Exchange, rules: Any) -> JSON | None:
        """A checked request, after whatever the faults do to it; None when it was answered already."""
        body = await read_body(exchange.receive)
        self.requests += 1
        document = _json(body)
        if isinstance(document, dict) and isinstance(document.get("model"), str):
            exchange.model = document["model"]
        request = answers.check(document, rules, self.config.models)
        faults = self.plan.faults
        if faults.hang or faults.slow:
            await _unless_left(exchange, faults.slow if not faults.hang else None)
        refusal = self.plan.refusal(time.monotonic(), random.random())
        if refusal is None:
            return request
        await _refuse(exchange, refusal)
        return None

    async def _text(
        self,
        exchange: Exchange,
        prefix: str,
        rules: Any,
        body: Callable[[Answer], JSON],
        chunks: Callable[..., Iterator[JSON]],
    ) -> None:
        request = await self._accepted(exchange, rules)
        if request is None:
            return
        answer = self._answer(prefix, request)
        if request.get("stream"):
            usage = bool((request.get("stream_options") or {}).get("include_usage"))
            await self._stream(exchange, chunks(answer, usage=usage))
        else:
            await exchange.json(200, body(answer))

    def _answer(self, prefix: str, request: JSON) -> Answer:
        text = f"Hello from {self.config.name} (model: {request['model']})"
        words, reason = answers.limited(answers.split(text, self.config.chunk), request)
        asked = len(str(request.get("messages") or request.get("prompt")).split())
        return Answer(
            f"{prefix}-{next(self.numbers)}", int(time.time()), request["model"], words, reason, asked
        )

    async def _stream(self, exchange: Exchange, documents: Iterator[JSON]) -> None:
        exchange.status = 200
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache"),
            *exchange.headers,
        ]
        await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
        for document in documents:
            faults = self.plan.faults
            if faults.break_stream is not None and exchange.chunks >= faults.break_stream:
                exchange.note = f" stream broken after {exchange.chunks} chunks"
                return  # an answer that is not completed: the server closes the connection
            await _unless_left(exchange, self.config.interval + faults.slow_chunks)
            data = b"data: " + orjson.dumps(document) + b"\n\n"
            await exchange.send({"type": "http.response.body", "body": data, "more_body": True})
            exchange.chunks += 1
        await exchange.send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def _unless_left(exchange: Exchange, seconds: float | None) -> None:
    """Let time pass, for ever when it is None; raises ClientLeft when the client goes away meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            while (await exchange.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
    raise ClientLeft


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    if refusal.retry_after is None:
        await exchange.json(refusal.status, _error("told to fail", "server_error"))
    else:
        after = (b"retry-after", b"%d" % max(1, round(refusal.retry_after)))
        await exchange.json(refusal.status, _error("rate limit reached", "rate_limit_error"), after)


def _error(message: str, kind: str = "invalid_request_error") -> JSON:
    return answers.error_body(message, kind=kind, param=None, code=None)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = f"the body is not valid JSON: {error}"
        raise BadRequest(msg) from None
