"""`/v1/chat/completions` and `/v1/models`: what OpenAI's clients expect."""

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from system.asgi import Receive, Scope, Send, send_json
from system.gateway.errors import GatewayError
from system.gateway.hiding import hide
from system.gateway.pages import retry_header
from system.gateway.values import AUTO, Answer, Chat, Chunk

if TYPE_CHECKING:
    from system.gateway.service import Service

OWN = ("messages", "model", "stream", "stream_options")  # the rest are options, and go on as they are


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
        listed = {one.model: one.name for one in self._service.engine.providers}
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
        try:
            if asked.stream:
                await self._stream(asked, send)
            else:
                answer = await self._service.engine.complete(asked.chat)
                await send_json(send, 200, completion(answer), [who(answer.provider)])
        except GatewayError as error:
            headers = [(name.encode(), value.encode()) for name, value in retry_header(error).items()]
            await send_json(send, error.status, envelope(error), headers)

    async def _stream(self, asked: "Asked", send: Send) -> None:
        ident, started = new_id(), False
        try:
            async for chunk in self._service.engine.stream(asked.chat):
                if not started:
                    started = True
                    await _start_stream(send, chunk.provider)
                await _send_event(send, event_of(ident, chunk))
        except GatewayError as error:
            if not started:
                raise
            await _send_event(send, envelope(error))
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


class Mistake:
    """Why a body cannot be understood, in OpenAI's envelope."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        self.error = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        }


class Asked:
    """A body, read."""

    def __init__(self, chat: Chat, *, stream: bool, document: Mapping[str, Any]) -> None:
        self.chat = chat
        self.stream = stream
        self.document = document


def read_request(body: bytes) -> Asked | Mistake:
    """What a body asks for, or what is wrong with it."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Mistake(f"The request's body is not valid JSON: {error}.", code="invalid_json")
    if not isinstance(document, dict):
        return Mistake("The request's body must be a JSON object.", code="invalid_json")
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        return Mistake("`messages` must be a list of at least one message.", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return Mistake("A message must be an object with a role.", f"messages[{number}]")
    model = document.get("model", AUTO)
    if not isinstance(model, str) or not model:
        return Mistake("`model` must be a non-empty text; `auto` leaves it to the gateway.", "model")
    options = {name: value for name, value in document.items() if name not in OWN and value is not None}
    chat = Chat(messages=messages, options=options, model=model)
    return Asked(chat, stream=document.get("stream") is True, document=document)


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


async def _start_stream(send: Send, provider: str) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), who(provider)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send_event(send: Send, document: Mapping[str, Any]) -> None:
    body = b"data: " + orjson.dumps(document) + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})
