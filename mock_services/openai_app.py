"""The mock backend itself: OpenAI's paths on a mock that fails on demand."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import orjson

from mock_services import openai_answers as answers
from mock_services.fields import JSON, Fields
from mock_services.openai import OpenAIConfig
from mock_services.openai_answers import Answer
from mock_services.scripted import Exchange, Handler, Scripted


class OpenAIMock(Scripted):
    """Answers for one named backend."""

    config: OpenAIConfig

    def __init__(self, config: OpenAIConfig) -> None:
        super().__init__(config)
        self.paths["/models"] = {"GET": self.models}

    def work(self) -> Mapping[str, Handler]:
        return {
            "/chat/completions": self.chat,
            "/completions": self.completions,
            "/embeddings": self.embeddings,
        }

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> JSON:
        return answers.error_body(status, message, param=param, code=code)

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

    async def _accepted(self, exchange: Exchange, rules: Fields) -> JSON | None:
        check = partial(answers.check, rules=rules, models=self.config.models)
        return await self.accepted(exchange, check)

    async def _text(
        self,
        exchange: Exchange,
        prefix: str,
        rules: Fields,
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
        broken = _event(self.error(500, "told to fail"))
        await self.stream(exchange, map(_event, documents), b"data: [DONE]\n\n", broken)


def _event(document: JSON) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"
