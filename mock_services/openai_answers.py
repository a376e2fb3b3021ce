"""The shapes of OpenAI's API: requests checked, answers made from them; pure."""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mock_services.fields import JSON, BadRequest, Fields, check_fields, is_number, is_whole

KINDS = {429: "rate_limit_error", 401: "authentication_error", 403: "permission_error"}
"""Status -> the `type` of an error; other statuses from 500 on are `server_error`."""


def error_body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> JSON:
    """OpenAI's error envelope."""
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated text with what its envelopes need."""

    id: str
    created: int
    model: str
    words: tuple[str, ...]
    finish_reason: str
    prompt_tokens: int

    @property
    def usage(self) -> JSON:
        made = len(self.words)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": made,
            "total_tokens": self.prompt_tokens + made,
        }


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str):
        return False
    content = value.get("content")
    return content is None or isinstance(content, str | list)


def _is_embedding_input(value: Any) -> bool:
    return bool(value) and (isinstance(value, str) or (isinstance(value, list) and _is_batch(value)))


def _is_batch(value: list[Any]) -> bool:
    return any(all(isinstance(item, kind) for item in value) for kind in (str, int, list))


_COMMON: dict[str, Any] = {
    "model": (lambda v: isinstance(v, str) and v != "", True, "the name of a model"),
    "stream": (lambda v: isinstance(v, bool), False, "true or false"),
    "stream_options": (lambda v: isinstance(v, dict), False, "an object"),
    "max_tokens": (lambda v: is_whole(v) and v > 0, False, "a whole number above 0"),
    "max_completion_tokens": (lambda v: is_whole(v) and v > 0, False, "a whole number above 0"),
    "temperature": (is_number(0, 2), False, "a number from 0 to 2"),
}
CHAT_FIELDS: Fields = _COMMON | {
    "messages": (
        lambda v: isinstance(v, list) and bool(v) and all(map(_is_message, v)),
        True,
        "a list, not empty, of objects with a role and a content",
    )
}
COMPLETION_FIELDS: Fields = _COMMON | {
    "prompt": (lambda v: isinstance(v, str | list), True, "text or a list")
}
EMBEDDING_FIELDS: Fields = {
    "model": _COMMON["model"],
    "input": (_is_embedding_input, True, "text, a list of texts or token ids"),
    "encoding_format": (lambda v: v in ("float", "base64"), False, "float or base64"),
    "dimensions": (lambda v: is_whole(v) and 0 < v <= 4096, False, "a whole number from 1 to 4096"),
}


def check(document: Any, rules: Fields, models: tuple[str, ...]) -> JSON:
    """The request, if it is one that can be answered; raises BadRequest otherwise."""
    request = check_fields(document, rules)
    if request["model"] not in models:
        msg = f"The model `{request['model']}` does not exist here; this service has {', '.join(models)}"
        raise BadRequest(msg, param="model", status=404, code="model_not_found")
    return request


def split(text: str, by: str) -> tuple[str, ...]:
    """The pieces a stream is made of: words with the space before them, or characters."""
    return tuple(re.findall(r"\s*\S+", text)) if by == "word" else tuple(text)


def limited(words: tuple[str, ...], request: JSON) -> tuple[tuple[str, ...], str]:
    """What is left under the request's token limit, and why the text ends."""
    most = request.get("max_completion_tokens") or request.get("max_tokens") or len(words)
    return words[:most], "length" if most < len(words) else "stop"


def chat_body(answer: Answer) -> JSON:
    message = {"role": "assistant", "content": "".join(answer.words)}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    return {**_envelope(answer, "chat.completion"), "choices": [choice], "usage": answer.usage}


def completion_body(answer: Answer) -> JSON:
    choice = {
        "index": 0,
        "text": "".join(answer.words),
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }
    return {**_envelope(answer, "text_completion"), "choices": [choice], "usage": answer.usage}


def chat_chunks(answer: Answer, *, usage: bool) -> Iterator[JSON]:
    """The documents of a streamed chat completion, `[DONE]` apart."""
    envelope = _envelope(answer, "chat.completion.chunk")
    deltas: list[JSON] = [{"role": "assistant", "content": ""}, *({"content": word} for word in answer.words)]
    for delta in deltas:
        yield {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish_reason}]}
    if usage:
        yield {**envelope, "choices": [], "usage": answer.usage}


def completion_chunks(answer: Answer, *, usage: bool) -> Iterator[JSON]:
    """The documents of a streamed text completion, `[DONE]` apart."""
    envelope = _envelope(answer, "text_completion")
    for word in answer.words:
        yield {**envelope, "choices": [{"index": 0, "text": word, "finish_reason": None}]}
    yield {**envelope, "choices": [{"index": 0, "text": "", "finish_reason": answer.finish_reason}]}
    if usage:
        yield {**envelope, "choices": [], "usage": answer.usage}


def _envelope(answer: Answer, kind: str) -> JSON:
    return {"id": answer.id, "object": kind, "created": answer.created, "model": answer.model}


def models_body(models: tuple[str, ...], created: int) -> JSON:
    data = [{"id": model, "object": "model", "created": created, "owned_by": "muster"} for model in models]
    return {"object": "list", "data": data}


def embeddings_body(request: JSON) -> JSON:
    """A vector for each input, the same for the same text everywhere and for ever."""
    given = request["input"]
    batch = given if isinstance(given, list) and not all(isinstance(item, int) for item in given) else [given]
    encode = _base64 if request.get("encoding_format") == "base64" else list
    size = request.get("dimensions") or 8
    data = [
        {"object": "embedding", "index": index, "embedding": encode(_vector(str(text), size))}
        for index, text in enumerate(batch)
    ]
    tokens = sum(len(str(text).split()) for text in batch)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


def _vector(text: str, size: int) -> tuple[float, ...]:
    raw = hashlib.shake_256(text.encode()).digest(4 * size)
    values = [number / 2**31 - 1 for number in struct.unpack(f"<{size}I", raw)]
    length = math.sqrt(math.fsum(value * value for value in values)) or 1.0
    return tuple(value / length for value in values)


def _base64(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
