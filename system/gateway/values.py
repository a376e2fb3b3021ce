"""What is asked and what is answered, in OpenAI's words: every provider translates. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = Mapping[str, Any]

AUTO = "auto"  # the model that means: whichever provider comes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One question: messages, and options under the names that OpenAI gives them."""

    messages: Sequence[Message]
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str = AUTO
    provider: str | None = None
    """Ask this one and nobody else."""
    allows: Callable[[str], bool] | None = None
    """Which models whoever asks may use; None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the provider counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def as_json(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, and who gave it."""

    content: str
    provider: str
    model: str
    usage: Usage = Usage()
    finish_reason: str = "stop"
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tried: int = 1
    """How many providers were asked, this one included."""

    def __str__(self) -> str:
        return self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer that comes as a stream."""

    text: str = ""
    provider: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None

    def __str__(self) -> str:
        return self.text


def messages_of(asked: str | Sequence[Message], system: str | None = None) -> list[Message]:
    """The messages of a question: a text is what the user says, a list is a whole conversation.

    Raises ValueError where there is nothing to ask.
    """
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    if isinstance(asked, str):
        if not asked.strip():
            msg = "the message is empty"
            raise ValueError(msg)
        return [*messages, {"role": "user", "content": asked}]
    if not isinstance(asked, Sequence) or not asked:
        msg = "messages must be a text or a list of at least one message"
        raise ValueError(msg)
    for number, message in enumerate(asked):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            msg = f"messages[{number}] must be an object with a role"
            raise ValueError(msg)  # noqa: TRY004 - one kind of mistake, one kind of error
    return [*messages, *asked]


def options_of(**given: Any) -> dict[str, Any]:
    """The options that were given; None means: as the provider likes."""
    return {name: value for name, value in given.items() if value is not None}


OPTIONS = (
    "temperature",
    "max_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "seed",
    "user",
    "tools",
    "tool_choice",
    "response_format",
)

RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
}


COUNTS = ("max_tokens", "max_completion_tokens", "n")


def check_options(options: Mapping[str, Any]) -> None:
    """Raises TypeError for an unknown option and ValueError for one out of its range; names it."""
    for name, value in options.items():
        if name not in OPTIONS:
            msg = f"unknown option {name!r}; known are {', '.join(OPTIONS)}"
            raise TypeError(msg)
        wrong = range_mistake(name, value)
        if wrong:
            msg = f"{name} {wrong}, not {value!r}"
            raise ValueError(msg)


def range_mistake(name: str, value: Any) -> str:
    """What an option must be instead; empty if it is as it should be, or has no range."""
    if name in RANGES:
        lowest, highest = RANGES[name]
        fits = _is_number(value) and lowest <= value <= highest
        return "" if fits else f"must be a number from {lowest:g} to {highest:g}"
    if name in COUNTS:
        return "" if type(value) is int and value > 0 else "must be a whole number above 0"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
