"""`/v1/chat/completions` and `/v1/models`: what OpenAI's clients expect."""

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from system.asgi import Receive, Scope, Send, send_bytes, send_json
from system.gateway import passing
from system.gateway.engine import Turns
from system.gateway.errors import BadRequest, GatewayError, ProviderError
from system.gateway.hiding import hide
from system.gateway.leaving import UntilLeft
from system.gateway.pages import retry_header
from system.gateway.providers.base import Provider
from system.gateway.values import AUTO, COUNTS, RANGES, Answer, Chat, Chunk, Usage, range_mistake
from system.router.callers import Caller
from system.router.counts import tokens_told

if TYPE_CHECKING:
    from system.gateway.service import Service

OWN = ("messages", "model", "stream", "stream_options")  # the rest are options, and go on as they are


_CHECKED = (*RANGES, *COUNTS)


class Completions:
    """OpenAI's paths of one process."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self.routes = {
            ("POST", "/v1/chat/completions"): self.complete,
            ("GET", "/v1/models"): self.models,
        }

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The models that may be asked for."""
        caller = scope.get("muster.caller")
        listed = {
            one.model: one.name
            for one in self._service.engine.providers
            if caller is None or caller.may_use(one.model)
        }
        data = [{"id": AUTO, "object": "model", "created": 0, "owned_by": "gateway"}]
        data += [
            {"id": model, "object": "model", "created": 0, "owned_by": owner}
            for model, owner in listed.items()
        ]
        await send_json(send, 200, {"object": "list", "data": data})

    async def complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = read_request(scope["muster.body"])
        if isinstance(asked, Mistake):
            await send_json(send, 400, asked.error)
            return
        asked = asked.by(scope.get("muster.caller"))
        async with UntilLeft(receive):
            try:
                await self._answer(asked, send)
            except BadRequest as error:
                body = error.body or orjson.dumps(envelope(error))
                await send_bytes(send, error.status, body, b"application/json", [who(error.provider)])
            except GatewayError as error:
                headers = [(name.encode(), value.encode()) for name, value in retry_header(error).items()]
                await send_json(send, error.status, envelope(error), headers)

    async def _answer(self, asked: "Asked", send: Send) -> None:
        """The answer of the first provider that gives one."""
        turns = Turns(self._service.engine, asked.chat)
        async for provider, permit in turns:
            telling = Telling(send, provider, asked, self._service.engine.clock)
            way = telling.translated if provider.wire is None else telling.passed
            with permit:
                began = self._service.engine.clock()
                try:
                    usage = await way()
                except ProviderError as error:
                    turns.failed(provider, permit, error, began)
                    if telling.started is not None:
                        await telling.break_off(error)
                        return
                else:
                    turns.succeeded(provider, permit, began, usage, telling.started)
                    return
        raise turns.exhausted()


class Telling:
    """What one provider says, on its way to the client; returns the tokens it took."""

    def __init__(self, send: Send, provider: Provider, asked: "Asked", clock: Callable[[], float]) -> None:
        self.started: float | None = None
        """When the client was first sent something."""
        self._clock = clock
        self._send = send
        self._provider = provider
        self._asked = asked

    async def passed(self) -> Usage:
        """As bytes, both ways."""
        provider = self._provider
        assert provider.wire is not None
        reply = await passing.send(provider, provider.wire, self._asked.body_for(provider.model))
        if reply.streamed:
            tail = b""
            async with aclosing(passing.pieces(provider, reply)) as pieces:
                async for piece in pieces:
                    await self._piece(piece)
                    tail = piece
            await self._send({"type": "http.response.body", "body": b""})
            return Usage(completion_tokens=tokens_told(tail))
        body = await passing.whole(provider, reply)
        self.started = self._clock()
        await send_bytes(self._send, reply.status, body, b"application/json", [who(provider.name)])
        return Usage(completion_tokens=tokens_told(body))

    async def translated(self) -> Usage:
        """Through the provider's own SDK."""
        provider, chat = self._provider, self._asked.chat
        if not self._asked.stream:
            answer = await provider.complete(chat)
            self.started = self._clock()
            await send_json(self._send, 200, completion(answer), [who(provider.name)])
            return answer.usage
        ident, usage = new_id(), Usage()
        async with aclosing(provider.stream(chat)) as chunks:
            async for chunk in chunks:
                usage = chunk.usage or usage
                await self._piece(sse(event_of(ident, chunk)))
        await self._piece(b"data: [DONE]\n\n")
        await self._send({"type": "http.response.body", "body": b""})
        return usage

    async def _piece(self, piece: bytes) -> None:
        if self.started is None:
            self.started = self._clock()
            kind = (b"content-type", b"text/event-stream; charset=utf-8")
            headers = [kind, (b"cache-control", b"no-cache"), who(self._provider.name)]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def break_off(self, error: ProviderError) -> None:
        """The stream has begun and cannot be completed: its client is told in an event."""
        if self._asked.stream:
            await self._send({"type": "http.response.body", "body": b"\n\n" + sse(envelope(error))})


class Mistake:
    """Why a body cannot be understood, in OpenAI's envelope."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        self.error = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        }


class Asked:
    """A body, read."""

    def __init__(self, chat: Chat, *, stream: bool, body: bytes, document: Mapping[str, Any]) -> None:
        self.chat = chat
        self.stream = stream
        self._body = body
        self._document = document

    def body_for(self, model: str) -> bytes:
        """The body as it came, unless it names another model than this provider's."""
        if self._document.get("model") == model:
            return self._body
        return orjson.dumps({**self._document, "model": model})

    def by(self, caller: Caller | None) -> "Asked":
        """The same, limited to the models that the caller may use."""
        if caller is not None:
            self.chat = replace(self.chat, allows=caller.may_use)
        return self


def read_request(body: bytes) -> Asked | Mistake:
    """What a body asks for, or what is wrong with it."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Mistake(f"The request's body is not valid JSON: {error}.", code="invalid_json")
    if not isinstance(document, dict):
        return Mistake("The request's body must be a JSON object.", code="invalid_json")
    mistake = _mistake_in(document)
    if mistake is not None:
        return mistake
    options = {name: value for name, value in document.items() if name not in OWN and value is not None}
    chat = Chat(messages=document["messages"], options=options, model=document.get("model", AUTO))
    return Asked(chat, stream=document.get("stream") is True, body=body, document=document)


def _mistake_in(document: Mapping[str, Any]) -> Mistake | None:
    """The first field that is not as it should be; what is not looked at here, the provider may refuse."""
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        return Mistake("`messages` must be a list of at least one message.", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return Mistake("A message must be an object with a role.", f"messages[{number}]")
    model = document.get("model", AUTO)
    if not isinstance(model, str) or not model:
        return Mistake("`model` must be a non-empty text; `auto` leaves it to the gateway.", "model")
    for name in _CHECKED:
        value = document.get(name)
        if value is not None and (wrong := range_mistake(name, value)):
            return Mistake(f"`{name}` {wrong}.", name, "invalid_value")
    return None


def new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def who(provider: str) -> tuple[bytes, bytes]:
    """The header that says who has answered."""
    return b"x-muster-provider", provider.encode()


def completion(answer: Answer) -> dict[str, Any]:
    """An answer as OpenAI would give it."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.tool_calls:
        message["tool_calls"] = list(answer.tool_calls)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    return {
        "id": new_id(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model,
        "choices": [choice],
        "usage": answer.usage.as_json(),
    }


def event_of(ident: str, chunk: Chunk) -> dict[str, Any]:
    """A piece of a stream as OpenAI would give it."""
    delta = {"content": chunk.text} if chunk.text else {}
    event = {
        "id": ident,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": chunk.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": chunk.finish_reason}],
    }
    return {**event, "usage": chunk.usage.as_json()} if chunk.usage else event


def envelope(error: GatewayError) -> dict[str, Any]:
    """An error as OpenAI would give it, with what was tried beside it."""
    inner = {"message": hide(str(error)), "type": error.type, "param": None, "code": error.code}
    if error.tried:
        return {"error": {**inner, "tried": [one.as_json() for one in error.tried]}}
    return {"error": inner}


def sse(document: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + orjson.dumps(document) + b"\n\n"
