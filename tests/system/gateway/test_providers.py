"""Each provider alone, by its official SDK, against a mock of its API over real HTTP."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from system.gateway.errors import (
    BadRequest,
    ConnectionFailed,
    Overloaded,
    ProviderError,
    ProviderFailed,
    RateLimited,
    TimedOut,
    Unauthorized,
)
from system.gateway.pacing import Pacer
from system.gateway.providers import PROVIDERS, Provider, ProviderSettings, make
from system.gateway.providers.anthropic import cannot, translated
from system.gateway.transport import LineTransport, is_proxied
from system.gateway.values import Chat, Chunk
from tests.system.gateway.front import ANTHROPIC_MODEL, MESSAGES, OPENAI_MODEL, Mock

CHAT = Chat(messages=MESSAGES, options={"temperature": 0.5, "max_tokens": 20})
KINDS = pytest.mark.parametrize("kind", list(PROVIDERS))


@pytest.fixture
def mock(providers: tuple[Mock, Mock], request: pytest.FixtureRequest) -> Iterator[Mock]:
    found = providers[1 if request.node.callspec.params.get("kind") == "anthropic" else 0]
    found.calm()
    yield found
    found.calm()


def settings(kind: str, mock: Mock, **more: Any) -> ProviderSettings:
    """A provider of a kind, at a mock."""
    base = mock.url if kind == "anthropic" else f"{mock.url}/v1"
    model = ANTHROPIC_MODEL if kind == "anthropic" else OPENAI_MODEL
    key = "" if kind == "compatible" else "sk-0123456789"
    return replace(ProviderSettings(kind=kind, model=model, api_key=key, base_url=base, timeout=2.0), **more)


def with_provider(told: ProviderSettings, work: "Any") -> Any:
    """What `work(provider)` gives, with the provider closed again."""

    async def run() -> Any:
        provider = make(told, LineTransport(Pacer()))
        try:
            async with asyncio.timeout(20):
                return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(run())


async def complete(provider: Provider) -> Any:
    return await provider.complete(CHAT)


async def streamed(provider: Provider) -> list[Chunk]:
    return [chunk async for chunk in provider.stream(CHAT)]


@KINDS
def test_it_answers(kind: str, mock: Mock) -> None:
    """Text, model, usage and the reason why it ended, in the same words for each."""
    answer = with_provider(settings(kind, mock), complete)
    assert answer.content.startswith("Hello from")
    assert answer.provider == kind
    assert answer.finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@KINDS
def test_it_streams(kind: str, mock: Mock) -> None:
    """Piece by piece, with the tokens and the reason at the end."""
    chunks = with_provider(settings(kind, mock), streamed)
    assert "".join(chunk.text for chunk in chunks).startswith("Hello from")
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert any(chunk.usage for chunk in chunks)


@KINDS
@pytest.mark.parametrize(
    ("fault", "error", "elsewhere"),
    [
        ({"fail": 400}, BadRequest, False),
        ({"fail": 401}, Unauthorized, True),
        ({"fail": 403}, Unauthorized, True),
        ({"fail": 404}, ProviderFailed, True),
        ({"fail": 413}, BadRequest, False),
        ({"fail": 422}, BadRequest, False),
        ({"fail": 429}, RateLimited, True),
        ({"fail": 500}, ProviderFailed, True),
        ({"fail": 503}, Overloaded, True),
        ({"fail": 504}, TimedOut, True),
        ({"fail": 529}, Overloaded, True),
    ],
)
def test_its_errors_are_ours(
    kind: str, mock: Mock, fault: dict[str, Any], error: type[ProviderError], elsewhere: bool
) -> None:
    """Each status is an error of the small tree, which says whether another provider may be tried."""
    mock.told(**fault)
    with pytest.raises(ProviderError) as caught:
        with_provider(settings(kind, mock), complete)
    assert type(caught.value) is error
    assert (caught.value.elsewhere, caught.value.counts) == (elsewhere, elsewhere)
    assert caught.value.upstream == fault["fail"]


@KINDS
def test_a_rate_limit_tells_for_how_long(kind: str, mock: Mock) -> None:
    """Retry-After comes along."""
    mock.told(rate_limit="7s")
    with pytest.raises(RateLimited) as caught:
        with_provider(settings(kind, mock), complete)
    assert caught.value.retry_after == 7


@KINDS
@pytest.mark.parametrize("work", [complete, streamed])
def test_its_timeout_is_used(kind: str, mock: Mock, work: Any) -> None:
    """A provider that hangs is given up after the configured time."""
    mock.told(hang=True)
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"within 0\.3 s"):
        with_provider(settings(kind, mock, timeout=0.3), work)
    assert time.monotonic() - began < 5


@KINDS
def test_its_retries_are_used(kind: str, mock: Mock) -> None:
    """Without retries one request is sent; with two, three are, and the third one is answered."""
    mock.told(fail=500, fail_times=2)
    with pytest.raises(ProviderFailed):
        with_provider(settings(kind, mock), complete)
    assert mock.asked == 1
    mock.told(fail=500, fail_times=2)
    assert with_provider(settings(kind, mock, retries=2), complete).content
    assert mock.asked == 3


@KINDS
@pytest.mark.parametrize("fault", [{"break_stream": 4}, {"error_in_stream": 4}])
def test_half_a_stream_is_an_error(kind: str, mock: Mock, fault: dict[str, int]) -> None:
    """What ends before its end is not taken for the whole."""
    mock.told(**fault)
    with pytest.raises((ConnectionFailed, ProviderFailed)):
        with_provider(settings(kind, mock), streamed)


@KINDS
def test_nobody_there_is_a_failed_connection(kind: str, mock: Mock) -> None:
    """It says that the connection was refused."""
    nobody = "http://127.0.0.1:9" + ("" if kind == "anthropic" else "/v1")
    with pytest.raises(ConnectionFailed, match="connection refused"):
        with_provider(settings(kind, mock, base_url=nobody), complete)


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        b"{}",
        b"[]",
        b'"text"',
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": null, "content": null}',
        b'{"choices": [{"message": {"content": null}}], "content": [{"type": "text"}]}',
        b'{"content": "text", "choices": "text"}',
    ],
)
@KINDS
def test_an_answer_that_is_none_is_the_providers_failure(kind: str, mock: Mock, answer: bytes) -> None:
    """Whatever comes with status 200, nothing but a ProviderError leaves a provider."""

    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(answer) + answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        provider = make(settings(kind, Mock(url)), LineTransport(Pacer()))
        try:
            with pytest.raises(ProviderFailed):
                await provider.complete(CHAT)
        finally:
            await provider.close()
            server.close()

    asyncio.run(work())


def test_a_question_is_translated_for_anthropic() -> None:
    """System messages are joined, turns merged, options renamed, and what has no counterpart is left out."""
    chat = Chat(
        messages=[
            {"role": "system", "content": "one"},
            {"role": "developer", "content": "two"},
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
        ],
        options={"temperature": 1.7, "max_tokens": 9, "stop": "X", "user": "u", "seed": 1},
    )
    assert translated(chat) == {
        "max_tokens": 9,
        "system": "one\n\ntwo",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "c"}]},
        ],
        "extra_body": {"temperature": 1.0},
        "stop_sequences": ["X"],
        "metadata": {"user_id": "u"},
    }


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"tools": [{}]}, "tools"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "text"}, "n": 1, "tools": []}, ""),
    ],
)
def test_what_would_change_the_answers_form_is_not_dropped(options: dict[str, Any], what: str) -> None:
    """Anthropic is not asked for it, and the reason names it."""
    assert cannot(Chat(messages=MESSAGES, options=options)) == (f"cannot translate {what}" if what else "")


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (5, {}),
        ({"a": 1}, {}),
        ([5], {}),
        (["text"], {}),
        ([{"type": "text"}], {}),
        ([{"type": "image_url", "image_url": "http://x"}], {}),
        ("fine", {"temperature": "hot"}),
        ("fine", {"stop": 5}),
    ],
)
@pytest.mark.parametrize("kind", ["anthropic"])
def test_a_question_that_cannot_be_read_is_the_callers_mistake(
    kind: str, mock: Mock, content: Any, options: dict[str, Any]
) -> None:
    """Nobody opens a provider's circuit by sending nonsense; the provider is not asked."""
    chat = Chat(messages=[{"role": "user", "content": content}], options=options)

    async def ask(provider: Provider) -> Any:
        assert not provider.cannot(chat) or isinstance(content, list)
        await provider.complete(chat)

    async def stream(provider: Provider) -> Any:
        async for _ in provider.stream(chat):
            pass

    for work in (ask, stream):
        with pytest.raises(BadRequest, match="not as OpenAI has them"):
            with_provider(settings(kind, mock), work)
    assert mock.asked == 0


def test_content_that_has_no_counterpart_is_named() -> None:
    """Sound, files and the like are not left out silently."""
    parts = [{"type": "text", "text": "a"}, {"type": "input_audio"}, {"type": "file"}]
    chat = Chat(messages=[{"role": "user", "content": parts}])
    assert cannot(chat) == "cannot translate content of type file, content of type input_audio"


def test_a_proxy_of_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where HTTP(S)_PROXY covers the address, and NO_PROXY does not."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert is_proxied("https://api.openai.com/v1")
    assert not is_proxied("https://inside.example/v1")
    assert not is_proxied("http://127.0.0.1:8000/v1")


def test_an_unknown_kind_is_told() -> None:
    """With what was probably meant."""
    with pytest.raises(ValueError, match="did you mean anthropic"):
        make(ProviderSettings(kind="antropic", model="m"), LineTransport(Pacer()))
