"""Load `chat`: chat completions, plain or streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import aiohttp
from pydantic import Field

from harness.load.answers import CONTENT_KEPT, Asked, exchange, session
from harness.load.traffic import Plan, drive
from harness.options import ModelName, ServiceName
from harness.quantities import Duration, Rate, Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.events import RequestDone
    from harness.load.base import Client

PATH = "/v1/chat/completions"
SESSION_HEADER = "session"
LONG_PREFIX = 1024
"""Characters that the prompts of one session have in common where only they tell it."""


@dataclass(frozen=True, slots=True)
class Chat:
    """Chat completions for one model, each request with an id of its own.

    ```yaml
    load: {chat: model-1, at: router, requests: auto, concurrency: 8}
    load: {chat: model-1, at: router, rate: 50/s, for: 5s, stream: true}
    load: {chat: model-1, at: router, requests: 200, sessions: 40}
    ```
    """

    model: ModelName
    """The model asked for."""
    _: KW_ONLY
    at: ServiceName = ""
    """The service that is asked; empty: the one that offers models."""
    requests: Annotated[int, Field(gt=0, le=1_000_000)] | Literal["auto"] | None = None
    """How many; `auto` lets the check beside it say how many it needs."""
    concurrency: Annotated[int, Field(gt=0, le=1000)] = 1
    """Requests in flight at most."""
    rate: Rate | None = None
    """Requests a second, sent on schedule whether or not earlier ones have ended."""
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long."""
    stream: bool = False
    """Ask for a stream of chunks."""
    prompt: str = "Hello"
    """What the user says."""
    prompt_size: Annotated[Size, Field(le=64 * 2**20)] | None = None
    """How long that is, in bytes: it is repeated, and cut."""
    sessions: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Requests belong to so many sessions, in turn; they are the same ones in every load. 0: to none."""
    session_by: Literal["key", "header", "prefix"] = "key"
    """What tells the session: `prompt_cache_key`, the header `session`, or only how its prompts begin."""
    leave_after: Annotated[Duration, Field(gt=0)] | None = None
    """The client leaves so long after it asked, in the middle of the answer or before it."""
    timeout: Duration = 30.0
    """How long one answer may take."""

    async def run(self, client: Client) -> None:
        """Send and record; see `harness.load.base.Load`."""
        plan = Plan(
            what=f"chat {self.model}{' streamed' if self.stream else ''}",
            url=client.urls[self.at] + PATH,
            requests=client.requests if self.requests == "auto" else self.requests,
            concurrency=self.concurrency if self.rate is None else max(self.concurrency, 64),
            rate=self.rate,
            seconds=self.seconds,
        )
        read = partial(read_stream, now=client.history.now) if self.stream else read_plain
        async with session(client, plan.concurrency, self.timeout) as pool:

            async def send(number: int) -> RequestDone:
                asked = self._asked(plan.url, f"{client.id_prefix}-{client.load}-{number:06d}", number)
                return await exchange(pool, client, asked, read)

            await drive(plan, client, send)

    def _asked(self, url: str, request_id: str, number: int) -> Asked:
        name = f"session-{number % self.sessions:03d}" if self.sessions else ""
        message = {"role": "user", "content": self._said(name, number)}
        body: dict[str, Any] = {"model": self.model, "messages": [message], "stream": self.stream}
        by = self.session_by if name else ""
        return Asked(
            id=request_id,
            method="POST",
            url=url,
            model=self.model,
            stream=self.stream,
            json=body | ({"prompt_cache_key": name} if by == "key" else {}),
            headers={SESSION_HEADER: name} if by == "header" else {},
            session=name,
            leave_after=self.leave_after,
        )

    def _said(self, name: str, number: int) -> str:
        """The prompt: as long as asked for, and with a beginning of its session's own where that tells it."""
        said = self.prompt if self.prompt_size is None else long_text(self.prompt, int(self.prompt_size))
        if name and self.session_by == "prefix":
            return f"{long_text(f'This is {name}. ', LONG_PREFIX)} {number}: {said}"
        return said


def long_text(text: str, size: int) -> str:
    """A text of so many bytes, made by repeating one."""
    piece = (text or " ").encode()
    return (piece * (size // len(piece) + 1))[:size].decode("utf-8", "ignore")


async def read_plain(answer: aiohttp.ClientResponse, done: RequestDone) -> RequestDone:
    """Take in a plain completion; ok is a 2xx that carries a choice's message."""
    raw = await answer.read()
    try:
        body = json.loads(raw)
        content = str(body["choices"][0]["message"]["content"] or "") if answer.ok else ""
    except (ValueError, KeyError, IndexError, TypeError):
        return replace(done, outcome="error", error=_unreadable(answer.status, raw))
    if not answer.ok:
        return replace(done, outcome="error", error=_error_of(answer.status, body), complete=True)
    answered = str(body.get("model", ""))
    return replace(done, outcome="ok", answered_model=answered, content=content[:CONTENT_KEPT], complete=True)


async def read_stream(
    answer: aiohttp.ClientResponse, done: RequestDone, now: Callable[[], float]
) -> RequestDone:
    """Take in a streamed completion; ok is a 2xx whose stream ends with `data: [DONE]`."""
    if not answer.ok or answer.content_type != "text/event-stream":
        return await _refused_stream(answer, done)
    chunks, content, answered, complete, broken = 0, "", "", False, ""
    first: float | None = None
    try:
        async for data in sse_data(answer):
            first = now() if first is None else first
            if data == "[DONE]":
                complete = True
                continue
            chunk = json.loads(data)
            if "error" in chunk:
                broken = _error_of(answer.status, chunk)
                break
            chunks += 1
            answered = str(chunk.get("model", "")) or answered
            for choice in chunk.get("choices", []):
                content += str(choice.get("delta", {}).get("content") or "")
    except aiohttp.ClientError as error:
        broken = f"the stream broke off after {chunks} chunks: {error}"
    except ValueError:
        broken = "the stream holds a chunk that is not JSON"
    if not complete and not broken:
        broken = f"the stream broke off after {chunks} chunks, without [DONE]"
    return replace(
        done,
        outcome="error" if broken else "ok",
        error=broken,
        answered_model=answered,
        content=content[:CONTENT_KEPT],
        chunks=chunks,
        first_chunk=first,
        complete=complete,
    )


async def _refused_stream(answer: aiohttp.ClientResponse, done: RequestDone) -> RequestDone:
    if not answer.ok:
        return await read_plain(answer, done)
    return replace(done, outcome="error", error=f"asked for a stream, got {answer.content_type}")


async def sse_data(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The `data:` fields of a server-sent event stream, one per line (as OpenAI sends them)."""
    async for line in answer.content:
        text = line.decode("utf-8", "replace").strip()
        if text.startswith("data:"):
            yield text.removeprefix("data:").strip()


def _unreadable(status: int, raw: bytes) -> str:
    return f"{status} with a body that is no chat completion: {raw[:120].decode('utf-8', 'replace')!r}"


def _error_of(status: int, body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else body
    text = error.get("message") if isinstance(error, dict) else error
    return f"{status}: {text}"
