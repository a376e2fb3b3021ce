"""Anthropic, by its official SDK: OpenAI's words are translated both ways."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import anthropic

from system.gateway.errors import BadRequest, ConnectionFailed, ProviderFailed
from system.gateway.providers.base import Provider, ProviderSettings
from system.gateway.providers.sdk import client_options, spoken, whole
from system.gateway.transport import LineTransport
from system.gateway.values import Answer, Chat, Chunk, Message, Usage

BASE_URL = "https://api.anthropic.com"
MAX_TOKENS = 4096  # Anthropic wants a number where OpenAI does not

_REASONS = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_NO_WORDS_FOR = ("tools", "functions", "logprobs", "audio", "modalities", "prediction")


class Anthropic(Provider):
    """Messages; what has no counterpart (seed, penalties) is left out, what would change the answer's form is
    refused by `cannot`.
    """

    def __init__(self, settings: ProviderSettings, transport: LineTransport) -> None:
        super().__init__(settings, transport)
        options = client_options(settings, transport, BASE_URL)
        self._client = anthropic.AsyncAnthropic(api_key=settings.api_key, **options)
        self._messages = self._client.messages  # imported when it is first touched: now, not on a call

    def cannot(self, chat: Chat) -> str:
        return cannot(chat)

    async def complete(self, chat: Chat) -> Answer:
        request = self._translated(chat)
        async with whole(anthropic, self.settings):
            message = await self._messages.create(model=self.model, **request)
            return self._answer(message)

    async def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]:
        prompt, finished = 0, False
        request = self._translated(chat)
        with spoken(anthropic, self.settings):
            events = await self._messages.create(model=self.model, stream=True, **request)
            async with events:
                async for event in events:
                    if event.type == "message_start":
                        prompt = event.message.usage.input_tokens
                    elif event.type == "message_stop":
                        finished = True
                    elif (chunk := self._chunk(event, prompt)) is not None:
                        yield chunk
        if not finished:
            raise ConnectionFailed(self.name, "the stream broke off before it was complete")

    async def close(self) -> None:
        await self._client.close()

    def _translated(self, chat: Chat) -> dict[str, Any]:
        try:
            return translated(chat)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            why = f"the messages or options are not as OpenAI has them: {error}"
            raise BadRequest(self.name, why) from None

    def _answer(self, message: Any) -> Answer:
        blocks = getattr(message, "content", None)
        if not isinstance(blocks, list):
            raise ProviderFailed(self.name, "its answer holds no content")
        usage = getattr(message, "usage", None)
        return Answer(
            content="".join(block.text for block in blocks if block.type == "text"),
            provider=self.name,
            model=message.model or self.model,
            usage=Usage(prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens)
            if usage
            else Usage(),
            finish_reason=_REASONS.get(message.stop_reason, "stop"),
        )

    def _chunk(self, event: Any, prompt: int) -> Chunk | None:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            return Chunk(text=event.delta.text, provider=self.name, model=self.model)
        if event.type == "message_delta":
            reason = _REASONS.get(event.delta.stop_reason or "", "stop")
            usage = Usage(prompt_tokens=prompt, completion_tokens=event.usage.output_tokens)
            return Chunk(finish_reason=reason, usage=usage, provider=self.name, model=self.model)
        return None


def cannot(chat: Chat) -> str:
    """What of a question Anthropic's API is not asked for by this translation."""
    options = chat.options
    wanted = [name for name in _NO_WORDS_FOR if options.get(name)]
    if (options.get("n") or 1) != 1:
        wanted.append("n")
    if isinstance(form := options.get("response_format"), Mapping) and form.get("type") not in (None, "text"):
        wanted.append("response_format")
    if any(message.get("role") in ("tool", "function") for message in chat.messages):
        wanted.append("messages of tools")
    parts = [part for one in chat.messages if isinstance(one.get("content"), list) for part in one["content"]]
    kinds = {str(part.get("type")) for part in parts if isinstance(part, Mapping)} - {"text", "image_url"}
    wanted += sorted(f"content of type {kind}" for kind in kinds)
    return f"cannot translate {', '.join(wanted)}" if wanted else ""


def translated(chat: Chat) -> dict[str, Any]:
    """A question in Anthropic's words."""
    options = chat.options
    request: dict[str, Any] = {
        "max_tokens": options.get("max_completion_tokens") or options.get("max_tokens") or MAX_TOKENS,
        "messages": turns(chat.messages),
    }
    system = [text_of(one) for one in chat.messages if one["role"] in ("system", "developer")]
    if system:
        request["system"] = "\n\n".join(system)
    # The SDK has no words of its own for what newer models do not take any more.
    sampling = request["extra_body"] = {}
    if (temperature := options.get("temperature")) is not None:
        sampling["temperature"] = min(temperature, 1.0)  # OpenAI's reach 2
    elif (top_p := options.get("top_p")) is not None:
        sampling["top_p"] = top_p
    if stop := options.get("stop"):
        request["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if user := options.get("user"):
        request["metadata"] = {"user_id": user}
    return request


def turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """User and assistant taking turns: what one says in several messages becomes one."""
    told: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] not in ("user", "assistant"):
            continue
        blocks = blocks_of(message)
        if told and told[-1]["role"] == message["role"]:
            told[-1]["content"] += blocks
        else:
            told.append({"role": message["role"], "content": blocks})
    return told


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """A message's content as blocks: text, and images by address or inline."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content]


def _block(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    url = str(part["image_url"]["url"])
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def text_of(message: Message) -> str:
    """A message's text alone."""
    return "\n".join(block["text"] for block in blocks_of(message) if block["type"] == "text")
