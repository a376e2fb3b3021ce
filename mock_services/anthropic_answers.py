"""The shapes of Anthropic's API: requests checked, answers and stream events made from them; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mock_services.fields import JSON, BadRequest, Fields, check_fields, is_number, is_whole

KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status -> the `type` of an error; other statuses from 500 on are `api_error`."""


def error_body(status: int, message: str, request_id: str | None = None) -> JSON:
    """Anthropic's error envelope."""
    kind = KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated message with what its envelopes need."""

    id: str
    model: str
    words: tuple[str, ...]
    stop_reason: str
    stop_sequence: str | None
    input_tokens: int


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_block(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] != "text" or _is_text(value.get("text"))


def _is_content(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_block, value)))


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in ("user", "assistant")
        and _is_content(value.get("content"))
    )


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_message, value))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


COUNT_FIELDS: Fields = {
    "model": (_is_text, True, "the name of a model"),
    "messages": (
        _are_messages,
        True,
        "a list of objects with a role, user or assistant (`system` is a field of its own), and content",
    ),
    "system": (_is_content, False, "text that is not blank, or a list of text blocks"),
}
MESSAGE_FIELDS: Fields = {
    **COUNT_FIELDS,
    "max_tokens": (lambda v: is_whole(v) and v > 0, True, "a whole number above 0"),
    "temperature": (is_number(0, 1), False, "a number from 0 to 1"),
    "top_p": (is_number(0, 1), False, "a number from 0 to 1"),
    "stop_sequences": (_are_texts, False, "a list of texts"),
    "stream": (lambda v: isinstance(v, bool), False, "true or false"),
}


def check(document: Any, rules: Fields, models: tuple[str, ...]) -> JSON:
    """The request, if it is one that can be answered; raises BadRequest, worded as the API does."""
    try:
        request = check_fields(document, rules)
    except BadRequest as error:
        raise BadRequest(f"{error.param}: {error}" if error.param else str(error)) from None
    if request["model"] not in models:
        msg = f"model: {request['model']}"
        raise BadRequest(msg, status=404)
    return request


def input_tokens(request: JSON) -> int:
    """How many tokens a request holds, as far as words tell."""
    return len(f"{request.get('system') or ''} {request['messages']}".split())


def answer_to(request: JSON, message_id: str, words: tuple[str, ...]) -> Answer:
    """The words as far as the request lets them go, and why they end."""
    words, reason, sequence = _stopped(words, tuple(request.get("stop_sequences") or ()))
    if len(words) > request["max_tokens"]:
        words, reason, sequence = words[: request["max_tokens"]], "max_tokens", None
    return Answer(message_id, request["model"], words, reason, sequence, input_tokens(request))


def _stopped(words: tuple[str, ...], sequences: tuple[str, ...]) -> tuple[tuple[str, ...], str, str | None]:
    text = "".join(words)
    found = [(text.index(sequence), sequence) for sequence in sequences if sequence in text]
    if not found:
        return words, "end_turn", None
    end, sequence = min(found)
    kept: list[str] = []
    for word in words:
        kept.append(word[: max(0, end)])
        end -= len(word)
    return tuple(filter(None, kept)), "stop_sequence", sequence


def message_body(answer: Answer) -> JSON:
    """A whole message."""
    usage = {"input_tokens": answer.input_tokens, "output_tokens": len(answer.words)}
    return {
        **_envelope(answer),
        "content": [{"type": "text", "text": "".join(answer.words)}],
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "usage": usage,
    }


def message_events(answer: Answer) -> Iterator[JSON]:
    """The events of a streamed message, `message_stop` apart; the name of each is its `type`."""
    usage = {"input_tokens": answer.input_tokens, "output_tokens": 1}
    nothing_yet: JSON = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": {**_envelope(answer), **nothing_yet}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "ping"}
    for word in answer.words:
        delta = {"type": "text_delta", "text": word}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    why = {"stop_reason": answer.stop_reason, "stop_sequence": answer.stop_sequence}
    yield {"type": "message_delta", "delta": why, "usage": {"output_tokens": len(answer.words)}}


STOP: JSON = {"type": "message_stop"}


def _envelope(answer: Answer) -> JSON:
    return {"id": answer.id, "type": "message", "role": "assistant", "model": answer.model}


def models_body(models: tuple[str, ...], created_at: str) -> JSON:
    """The list of models."""
    data = [
        {"type": "model", "id": model, "display_name": model, "created_at": created_at} for model in models
    ]
    first, last = (models[0], models[-1]) if models else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}
