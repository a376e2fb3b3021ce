"""`Gateway`: providers asked from plain code and from coroutines, without HTTP of our own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from system.breaker import CLOSED, OPEN
from system.errors import UsageError
from system.gateway import AllFailed, Answer, BadRequest, Gateway, NotServed, ProviderError, ProviderSettings
from tests.system.gateway.front import ANTHROPIC_MODEL, MESSAGES, OPENAI_MODEL, Mock


def settings(providers: tuple[Mock, Mock]) -> list[ProviderSettings]:
    openai, anthropic = providers
    return [
        ProviderSettings(
            kind="anthropic",
            model=ANTHROPIC_MODEL,
            api_key="k" * 8,
            base_url=anthropic.url,
            priority=2,
            timeout=2,
        ),
        ProviderSettings(
            kind="openai", model=OPENAI_MODEL, api_key="k" * 8, base_url=f"{openai.url}/v1", timeout=2
        ),
    ]


@pytest.fixture
def mocks(providers: tuple[Mock, Mock]) -> Iterator[tuple[Mock, Mock]]:
    for one in providers:
        one.calm()
    yield providers
    for one in providers:
        one.calm()


@pytest.fixture
def client(mocks: tuple[Mock, Mock]) -> Iterator[Gateway]:
    with Gateway(settings(mocks), threshold=2) as made:
        yield made


def test_a_text_is_answered(client: Gateway) -> None:
    """By the first provider, with model and usage; the answer prints as its text."""
    answer = client.chat("What is Python?", system_message="Be brief.", temperature=0.1, max_tokens=5)
    assert isinstance(answer, Answer)
    assert (answer.provider, answer.model) == ("openai", OPENAI_MODEL)
    assert str(answer) == answer.content
    assert answer.usage.total_tokens > 0


def test_a_conversation_is_answered(client: Gateway) -> None:
    """A list of messages is a whole conversation; `provider` and `model` choose."""
    assert client.chat(MESSAGES, provider="anthropic").provider == "anthropic"
    assert client.chat(MESSAGES, model=ANTHROPIC_MODEL).provider == "anthropic"


def test_it_fails_over_and_back(client: Gateway, mocks: tuple[Mock, Mock]) -> None:
    """The second provider answers, the first one's circuit opens and can be reset."""
    mocks[0].told(fail=500)
    assert [client.chat("hi").provider for _ in range(3)] == ["anthropic"] * 3
    assert mocks[0].asked == 2
    assert client.status()["openai"].state is OPEN
    mocks[0].calm()
    client.reset("openai")
    assert client.status()["openai"].state is CLOSED
    assert client.chat("hi").provider == "openai"


def test_it_streams(client: Gateway) -> None:
    """Piece by piece; leaving early is no error, and the next question is answered."""
    pieces = list(client.chat_stream("hi"))
    assert "".join(map(str, pieces)).startswith("Hello from")
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == ["stop"]
    for _ in client.chat_stream("hi"):
        break
    assert client.chat("hi").content


def test_half_a_stream_is_an_error(client: Gateway, mocks: tuple[Mock, Mock]) -> None:
    """What has begun is not begun again by another provider: the pieces end with an error."""
    mocks[0].told(break_stream=4)
    pieces: list[str] = []
    with pytest.raises(ProviderError, match="broke"):
        pieces.extend(chunk.text for chunk in client.chat_stream("hi"))
    assert mocks[1].asked == 0
    assert client.status()["openai"].failure_count == 1


def test_coroutines_ask_too(client: Gateway) -> None:
    """From any loop, many at a time, whole or in pieces."""

    async def work() -> tuple[list[Answer], str]:
        answers = await asyncio.gather(*(client.achat(f"question {n}") for n in range(5)))
        return answers, "".join([chunk.text async for chunk in client.achat_stream("hi")])

    for _ in range(2):  # each run has a loop of its own
        answers, text = asyncio.run(work())
        assert len(answers) == 5
        assert text.startswith("Hello from")


def test_a_cancelled_coroutine_ends_its_call(client: Gateway, mocks: tuple[Mock, Mock]) -> None:
    """The provider sees its connection close."""
    mocks[0].told(hang=True)

    async def work() -> None:
        async with asyncio.timeout(0.2):
            await client.achat("hi")

    with pytest.raises(TimeoutError):
        asyncio.run(work())
    until = threading.Event()
    for _ in range(100):
        if mocks[0].record["answers"] == {"499": 1}:
            break
        until.wait(0.05)
    assert mocks[0].record["answers"] == {"499": 1}
    assert mocks[1].asked == 0


def test_its_errors_say_what_was_tried(client: Gateway, mocks: tuple[Mock, Mock]) -> None:
    """All failed names everybody; a bad request is raised at once; nobody serves what is unknown."""
    mocks[0].told(fail=400)
    with pytest.raises(BadRequest, match="told to fail"):
        client.chat("hi")
    assert mocks[1].asked == 0
    mocks[0].told(fail=500)
    mocks[1].told(fail=503)
    with pytest.raises(AllFailed) as caught:
        client.chat("hi")
    assert [one.provider for one in caught.value.tried] == ["openai", "anthropic"]
    with pytest.raises(NotServed, match="gpt-9"):
        client.chat("hi", model="gpt-9")


@pytest.mark.parametrize(
    ("message", "how", "error"),
    [
        ("", {}, ValueError),
        ([], {}, ValueError),
        ([{"content": "no role"}], {}, ValueError),
        ("hi", {"temperature": 3}, ValueError),
        ("hi", {"max_tokens": 0}, ValueError),
        ("hi", {"top_p": "all"}, ValueError),
        ("hi", {"temprature": 1}, TypeError),
    ],
)
def test_a_mistaken_call_is_refused(
    client: Gateway, mocks: tuple[Mock, Mock], message: object, how: dict[str, object], error: type[Exception]
) -> None:
    """Before anybody is asked."""
    for one in mocks:
        one.calm()
    with pytest.raises(error):
        client.chat(message, **how)  # type: ignore[arg-type]
    assert mocks[0].asked == 0


def test_the_environment_says_who_is_asked(monkeypatch: pytest.MonkeyPatch, mocks: tuple[Mock, Mock]) -> None:
    """Without providers the keys of the environment count, as for the server; without keys, that is told."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with Gateway(openai_base_url=f"{mocks[0].url}/v1") as client:
        assert client.chat("hi").provider == "openai"
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        Gateway()


def test_a_closed_gateway_says_so(mocks: tuple[Mock, Mock]) -> None:
    """Its thread is gone, and asking it is a mistake."""
    client = Gateway(settings(mocks))
    client.chat("hi")
    assert "gateway" in [thread.name for thread in threading.enumerate()]
    client.close()
    client.close()
    assert "gateway" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(RuntimeError, match="closed"):
        client.chat("hi")


def test_two_gateways_live_side_by_side(mocks: tuple[Mock, Mock]) -> None:
    """Each has circuits of its own."""
    with Gateway(settings(mocks), threshold=1) as one, Gateway(settings(mocks), threshold=1) as two:
        mocks[0].told(fail=500)
        one.chat("hi")
        assert one.status()["openai"].state is OPEN
        assert two.status()["openai"].state is CLOSED
