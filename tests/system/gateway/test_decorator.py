"""`@chat`: the annotation decides what comes back, misuse is an error when the function is decorated."""

import asyncio
import inspect
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest

from system.gateway import Answer, Chunk, Gateway, ProviderSettings, chat
from system.gateway.values import Chat

SETTINGS = [ProviderSettings(kind="compatible", model="m", base_url="http://127.0.0.1:9/v1")]


class Fake(Gateway):
    """A gateway that keeps what it is asked, and answers itself."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.asked: list[Chat] = []

    def wait_for(self, chat: Chat) -> Answer:
        self.asked.append(chat)
        return Answer(content=f"answer {len(self.asked)}", provider="p", model="m")

    def iterate(self, chat: Chat) -> Iterator[Chunk]:
        self.asked.append(chat)
        yield from (Chunk(text="one "), Chunk(text="two", finish_reason="stop"))

    async def complete(self, chat: Chat) -> Answer:
        return self.wait_for(chat)

    async def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]:
        for chunk in self.iterate(chat):
            yield chunk

    @property
    def last(self) -> str:
        return str(self.asked[-1].messages[-1]["content"])


@pytest.fixture
def fake() -> Fake:
    return Fake()


def test_the_body_makes_the_question(fake: Fake) -> None:
    """What it returns is asked; the function keeps its name, its words and its signature."""

    @chat(gateway=fake, system_message="Be terse.", temperature=0.2)
    def explain(topic: str, *, words: int = 5) -> str:
        """Explain something."""
        return f"Explain {topic} in {words} words."

    assert explain("rain", words=9) == "answer 1"
    asked = fake.asked[0]
    assert [one["role"] for one in asked.messages] == ["system", "user"]
    assert fake.last == "Explain rain in 9 words."
    assert asked.options == {"temperature": 0.2}
    assert (explain.__name__, explain.__doc__) == ("explain", "Explain something.")  # type: ignore[attr-defined]
    assert list(inspect.signature(explain).parameters) == ["topic", "words"]


def test_an_empty_body_asks_the_first_argument(fake: Fake) -> None:
    """A text, or a list of messages; given by position or by name, in functions and in methods."""

    @chat(gateway=fake)
    def ask(question: str) -> str: ...  # type: ignore[empty-body]

    @chat(gateway=fake)
    def talk(messages: list[dict[str, str]], tone: str = "") -> str:  # type: ignore[empty-body]
        """Only documented."""

    class Helper:
        @chat(gateway=fake)
        def help(self, what: str) -> str: ...  # type: ignore[empty-body]

    ask("by position")
    assert fake.last == "by position"
    ask(question="by name")
    assert fake.last == "by name"
    talk([{"role": "user", "content": "a conversation"}])
    assert fake.last == "a conversation"
    Helper().help("a method")
    assert fake.last == "a method"


def test_the_annotation_decides(fake: Fake) -> None:
    """Text, the answer as an object, or pieces; without annotation, text."""

    @chat(gateway=fake)
    def text(q: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        ...

    @chat(gateway=fake)
    def whole(q: str) -> Answer: ...  # type: ignore[empty-body]

    @chat(gateway=fake)
    def words(q: str) -> Iterator[str]: ...  # type: ignore[empty-body]

    @chat(gateway=fake)
    def chunks(q: str) -> "Iterator[Chunk]": ...  # type: ignore[empty-body]

    assert text("q") == "answer 1"
    assert whole("q").provider == "p"
    assert list(words("q")) == ["one ", "two"]
    assert [chunk.finish_reason for chunk in chunks("q")] == [None, "stop"]


def test_coroutines_are_decorated_too(fake: Fake) -> None:
    """An async function stays one; pieces come from a plain function that is iterated with `async for`."""

    @chat(gateway=fake)
    async def ask(q: str) -> str: ...  # type: ignore[empty-body]

    @chat(gateway=fake)
    async def made(q: str) -> Answer:
        await asyncio.sleep(0)
        return f"made of {q}"  # type: ignore[return-value]

    @chat(gateway=fake)
    def words(q: str) -> AsyncIterator[str]: ...  # type: ignore[empty-body]

    async def work() -> tuple[str, Answer, list[str]]:
        return await ask("q"), await made("q"), [word async for word in words("q")]

    assert inspect.iscoroutinefunction(ask)
    text, answer, pieces = asyncio.run(work())
    assert (text, answer.content, pieces) == ("answer 1", "answer 2", ["one ", "two"])
    assert fake.asked[1].messages[-1]["content"] == "made of q"


def test_options_can_be_changed_for_one_call(fake: Fake) -> None:
    """`with_options` gives another function; the first one stays as it is."""

    @chat(gateway=fake, temperature=0.1, max_tokens=7)
    def ask(q: str) -> str: ...  # type: ignore[empty-body]

    ask.with_options(temperature=0.9, provider="p")("q")
    ask("q")
    assert [one.options["temperature"] for one in fake.asked] == [0.9, 0.1]
    assert [one.provider for one in fake.asked] == ["p", None]
    with pytest.raises(ValueError, match="temperature"):
        ask.with_options(temperature=5)


def _yields(q: str) -> Iterator[str]:
    yield q


def _nothing() -> str: ...  # type: ignore[empty-body]


def _number(q: str) -> int: ...  # type: ignore[empty-body]


def _numbers(q: str) -> Iterator[int]: ...  # type: ignore[empty-body]


def _unknown(q: str) -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821


async def _async_pieces(q: str) -> AsyncIterator[str]: ...  # type: ignore[empty-body]


def _fine(q: str) -> str: ...  # type: ignore[empty-body]


MISUSE: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (_yields, {}, TypeError, "does not yield"),
    (_nothing, {}, TypeError, "nothing to ask"),
    (_number, {}, TypeError, "-> int is not what a provider writes"),
    (_numbers, {}, TypeError, "is not what a provider writes"),
    (_unknown, {}, TypeError, "cannot be read"),
    (_async_pieces, {}, TypeError, "without async"),
    (int, {}, TypeError, "decorates functions"),
    (_fine, {"temprature": 1}, TypeError, "did you mean temperature"),
    (_fine, {"temperature": 3}, ValueError, "temperature must be a number from 0 to 2"),
    (_fine, {"max_tokens": 0}, ValueError, "max_tokens"),
    (_fine, {"system_message": 1}, TypeError, "system_message must be a text"),
]


@pytest.mark.parametrize(("function", "options", "error", "words"), MISUSE)
def test_misuse_is_told_when_decorating(
    function: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Before anything is called: the function, what is wrong, what would be right."""
    with pytest.raises(error, match=words):
        chat(**options)(function)


def test_the_decorator_takes_keywords_only() -> None:
    """`@chat("You are terse")` is a mistake that is told at once."""
    wrong: Any = chat
    with pytest.raises(TypeError, match="keywords only"):
        wrong("You are terse.")
    with pytest.raises(TypeError, match="keywords only"):
        wrong(_fine, "You are terse.")


def test_an_asynchronous_gateway_cannot_be_asked_by_plain_code() -> None:
    """The engine of the server runs on its loop: a plain function would have to block it."""
    engine: Any = object()
    with pytest.raises(TypeError, match="asynchronous"):
        chat(gateway=engine)(_fine)


def test_a_body_that_makes_nothing_is_told(fake: Fake) -> None:
    """A function without arguments has to return its question."""
    questions = itertools.chain(["a question"], itertools.repeat(None))

    @chat(gateway=fake)
    def ask() -> str:
        return next(questions)  # type: ignore[return-value]

    assert ask() == "answer 1"
    with pytest.raises(TypeError, match="nothing to ask"):
        ask()
