"""Anthropic's paths on a mock that fails on demand."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import orjson

from mock_services import anthropic_answers as answers
from mock_services.anthropic import AnthropicConfig
from mock_services.fields import JSON, BadRequest, Fields
from mock_services.openai_answers import split
from mock_services.scripted import Exchange, Handler, Scripted
from system.asgi import header


class AnthropicMock(Scripted):
    """Answers for one named provider; like the real one it wants a key and a version with each request."""

    config: AnthropicConfig

    def __init__(self, config: AnthropicConfig) -> None:
        super().__init__(config)
        self.paths["/models"] = {"GET": self.models}

    def work(self) -> Mapping[str, Handler]:
        return {"/messages": self.messages, "/messages/count_tokens": self.count_tokens}

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> JSON:
        return answers.error_body(status, message)

    async def models(self, exchange: Exchange) -> None:
        created = datetime.fromtimestamp(self.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        await exchange.json(200, answers.models_body(self.config.models, created))

    async def messages(self, exchange: Exchange) -> None:
        request = await self._accepted(exchange, answers.MESSAGE_FIELDS)
        if request is None:
            return
        text = f"Hello from {self.config.name} (model: {request['model']})"
        words = split(text, self.config.chunk)
        answer = answers.answer_to(request, f"msg_{next(self.numbers):024d}", words)
        if request.get("stream"):
            broken = _event(answers.error_body(529, "told to fail"))
            await self.stream(
                exchange, map(_event, answers.message_events(answer)), _event(answers.STOP), broken
            )
        else:
            await exchange.json(200, answers.message_body(answer))

    async def count_tokens(self, exchange: Exchange) -> None:
        request = await self._accepted(exchange, answers.COUNT_FIELDS)
        if request is not None:
            await exchange.json(200, {"input_tokens": answers.input_tokens(request)})

    async def _accepted(self, exchange: Exchange, rules: Fields) -> JSON | None:
        self._let_in(exchange)
        return await self.accepted(exchange, partial(answers.check, rules=rules, models=self.config.models))

    def _let_in(self, exchange: Exchange) -> None:
        bearer = (header(exchange.scope, b"authorization") or b"").removeprefix(b"Bearer ")
        key, wanted = header(exchange.scope, b"x-api-key") or bearer, self.config.api_key.encode()
        if not key or (wanted and not hmac.compare_digest(key, wanted)):
            msg = "invalid x-api-key" if key else "x-api-key header is required"
            raise BadRequest(msg, status=401)
        if header(exchange.scope, b"anthropic-version") is None:
            msg = "anthropic-version: header is required"
            raise BadRequest(msg)


def _event(document: JSON) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(document["type"]).encode(), orjson.dumps(document))
