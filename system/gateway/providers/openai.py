"""OpenAI, by its official SDK."""

from collections.abc import AsyncGenerator
from typing import Any

import openai

from system.gateway.errors import ConnectionFailed, ProviderFailed
from system.gateway.providers.base import Provider, ProviderSettings, Wire
from system.gateway.providers.sdk import client_options, spoken, whole
from system.gateway.transport import LineTransport, is_proxied
from system.gateway.values import Answer, Chat, Chunk, Usage

BASE_URL = "https://api.openai.com/v1"


class OpenAI(Provider):
    """Chat completions; options go through as they are."""

    def __init__(self, settings: ProviderSettings, transport: LineTransport) -> None:
        super().__init__(settings, transport)
        options = client_options(settings, transport, BASE_URL)
        self._client = openai.AsyncOpenAI(api_key=settings.api_key, **options)
        self._completions = (
            self._client.chat.completions
        )  # imported when it is first touched: now, not on a call
        base = str(self._client.base_url).rstrip("/")
        if not is_proxied(base):
            headers = {
                "authorization": f"Bearer {settings.api_key}",
                "openai-organization": self._client.organization,
                "openai-project": self._client.project,
            }
            self.wire = Wire.to(f"{base}/chat/completions", headers)

    async def complete(self, chat: Chat) -> Answer:
        async with whole(openai, self.settings):
            completion = await self._completions.create(**self._request(chat))
            return self._answer(completion)

    async def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]:
        finished = False
        with spoken(openai, self.settings):
            request = self._request(chat)
            request["extra_body"].setdefault("stream_options", {"include_usage": True})
            events = await self._completions.create(stream=True, **request)
            async with events:
                async for event in events:
                    chunk = self._chunk(event)
                    finished = finished or chunk.finish_reason is not None
                    yield chunk
        if not finished:
            raise ConnectionFailed(self.name, "the stream broke off before it was complete")

    async def close(self) -> None:
        await self._client.close()

    def _request(self, chat: Chat) -> dict[str, Any]:
        return {"model": self.model, "messages": list(chat.messages), "extra_body": dict(chat.options)}

    def _answer(self, completion: Any) -> Answer:
        choices = getattr(completion, "choices", None)
        choice = choices[0] if choices else None
        message = getattr(choice, "message", None)
        if choice is None or message is None:
            raise ProviderFailed(self.name, "its answer holds no message")
        calls = [call.to_dict() for call in message.tool_calls or ()]
        text = message.content or getattr(message, "refusal", None) or ""
        if not text and not calls and message.content is None:
            raise ProviderFailed(self.name, "its answer is empty")
        return Answer(
            content=text,
            provider=self.name,
            model=self.model,
            usage=_usage(getattr(completion, "usage", None)) or Usage(),
            finish_reason=choice.finish_reason or "stop",
            tool_calls=calls,
        )

    def _chunk(self, event: Any) -> Chunk:
        choice = event.choices[0] if event.choices else None
        return Chunk(
            text=(choice.delta.content or "") if choice and choice.delta else "",
            provider=self.name,
            model=self.model,
            finish_reason=choice.finish_reason if choice else None,
            usage=_usage(event.usage),
        )


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    return Usage(prompt_tokens=usage.prompt_tokens or 0, completion_tokens=usage.completion_tokens or 0)
