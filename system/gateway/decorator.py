"""`@chat(...)`: a function whose result a provider writes.

    @chat(system_message="You are terse.", temperature=0.2)
    def explain(topic: str) -> str:
        return f"Explain {topic} in one sentence."

What the function returns is asked: a text, or a list of messages. Where its body is empty, its first argument
is. The return annotation decides what the caller gets: `str` the text (also without annotation), `Answer` the
text with its provider, model and usage, `Iterator[str]` or `Iterator[Chunk]` the answer as it comes. The same
with `async def`, and with `AsyncIterator` on a plain function. Whatever is wrong with a decorated function is
a TypeError or ValueError when it is decorated, not when it is called.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import FunctionType
from typing import Any, ParamSpec, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints, overload

from system.config import did_you_mean
from system.gateway.client import Gateway, default_gateway
from system.gateway.values import OPTIONS, Answer, Chat, Chunk, check_options, messages_of, options_of

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_WORDS = ("gateway", "system_message", "provider", "model", *OPTIONS)


class Asks(Protocol):
    """What is asked by coroutines: a Gateway, or the engine inside one."""

    async def complete(self, chat: Chat) -> Answer: ...

    def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]: ...


class Decorated(Protocol[P, R_co]):
    """A function that is called as before; `with_options` gives the same one with other options."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    def __get__(self, instance: Any, owner: Any = None, /) -> Callable[..., R_co]: ...

    def with_options(self, **options: Any) -> "Decorated[P, R_co]": ...


@overload
def chat(function: Callable[P, R], /) -> Decorated[P, R]: ...


@overload
def chat(**options: Any) -> Callable[[Callable[P, R]], Decorated[P, R]]: ...


def chat(*given: Any, **options: Any) -> Any:
    """Make a function ask. Options: gateway, system_message, provider, model, and OpenAI's own."""
    if given:
        if len(given) > 1 or options or not callable(given[0]):
            msg = "use @chat, or @chat(system_message=..., ...) with keywords only"
            raise TypeError(msg)
        return _decorate(given[0], {})
    _check_words(options)
    return functools.partial(_decorate, options=options)


def _check_words(options: dict[str, Any]) -> None:
    for word in options:
        if word not in _WORDS:
            msg = (
                f"@chat has no option {word!r}{did_you_mean(word, list(_WORDS))}; it has {', '.join(_WORDS)}"
            )
            raise TypeError(msg)
    for word in ("system_message", "provider", "model"):
        if not isinstance(options.get(word), str | None):
            msg = f"{word} must be a text"
            raise TypeError(msg)
    check_options(options_of(**{name: options.get(name) for name in OPTIONS}))


def _decorate(function: Any, options: dict[str, Any]) -> Decorated[..., Any]:
    _check_function(function)
    form = _form_of(function)
    gateway = options.get("gateway")
    if gateway is not None and not isinstance(gateway, Gateway) and not form.is_async:
        msg = (
            f"{function.__qualname__}: this gateway is asynchronous: use async def, or -> AsyncIterator[str]"
        )
        raise TypeError(msg)
    return _made(Question(function, options), form)


def _check_function(function: Any) -> None:
    if not isinstance(function, FunctionType):
        msg = f"@chat decorates functions, not {function!r}; below @staticmethod or @classmethod it finds one"
        raise TypeError(msg)
    name = function.__qualname__
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        msg = (
            f"{name}: a decorated function does not yield; return the question, and annotate -> Iterator[str]"
        )
        raise TypeError(msg)
    if not inspect.signature(function).parameters and _is_empty(function):
        msg = f"{name}: has neither a parameter nor a body, so there is nothing to ask"
        raise TypeError(msg)


def _is_empty(function: FunctionType) -> bool:
    def plain() -> None: ...

    async def awaited() -> None: ...

    return function.__code__.co_code in (plain.__code__.co_code, awaited.__code__.co_code)


class Question:
    """What a decorated function asks, and whom."""

    def __init__(self, function: FunctionType, options: dict[str, Any]) -> None:
        self.function = function
        self.options = options

    def having(self, options: dict[str, Any]) -> "Question":
        _check_words(options)
        return Question(self.function, {**self.options, **options})

    @property
    def gateway(self) -> Any:
        return self.options.get("gateway") or default_gateway()

    def chat(self, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Chat:
        """The chat: what the body has made, or else the first argument."""
        if made is None:
            made = self._first_argument(args, kwargs)
        options = self.options
        model = {"model": options["model"]} if options.get("model") else {}
        return Chat(
            messages=messages_of(made, options.get("system_message")),
            options=options_of(**{name: options.get(name) for name in OPTIONS}),
            provider=options.get("provider"),
            **model,
        )

    def _first_argument(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = inspect.signature(self.function).bind(*args, **kwargs)
        bound.apply_defaults()
        names = [name for name in bound.arguments if name not in ("self", "cls")]
        if not names:
            msg = f"{self.function.__qualname__}: returned nothing to ask, and there is no argument"
            raise TypeError(msg)
        return bound.arguments[names[0]]


class Form(Protocol):
    """Makes the function that callers see."""

    @property
    def is_async(self) -> bool: ...

    def wrap(self, question: Question) -> Callable[..., Any]: ...


class Whole:
    """`def f(...) -> str` or `-> Answer`."""

    is_async = False

    def __init__(self, shown: Callable[[Any], Any]) -> None:
        self.shown = shown

    def wrap(self, question: Question) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            asked = question.chat(question.function(*args, **kwargs), args, kwargs)
            return self.shown(question.gateway.wait_for(asked))

        return call


class AsyncWhole(Whole):
    """`async def f(...) -> str` or `-> Answer`."""

    is_async = True

    def wrap(self, question: Question) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            asked = question.chat(await question.function(*args, **kwargs), args, kwargs)
            return self.shown(await question.gateway.complete(asked))

        return call


class Pieces(Whole):
    """`def f(...) -> Iterator[str]` or `-> Iterator[Chunk]`."""

    def wrap(self, question: Question) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
            asked = question.chat(question.function(*args, **kwargs), args, kwargs)
            return (self.shown(chunk) for chunk in question.gateway.iterate(asked))

        return call


class AsyncPieces(Whole):
    """`def f(...) -> AsyncIterator[str]` or `-> AsyncIterator[Chunk]`."""

    is_async = True

    def wrap(self, question: Question) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            asked = question.chat(question.function(*args, **kwargs), args, kwargs)
            return (self.shown(chunk) async for chunk in question.gateway.stream(asked))

        return call


def _made(question: Question, form: Form) -> Decorated[..., Any]:
    call: Any = functools.wraps(question.function)(form.wrap(question))
    call.with_options = lambda **options: _made(question.having(options), form)
    return cast("Decorated[..., Any]", call)


def _itself(value: Any) -> Any:
    return value


_WHOLE: dict[Any, Callable[[Any], Any]] = {str: str, Answer: _itself}
_ITEMS: dict[Any, Callable[[Any], Any]] = {str: str, Chunk: _itself}
_ITERATORS: dict[Any, type[Whole]] = {Iterator: Pieces, AsyncIterator: AsyncPieces}


def _form_of(function: FunctionType) -> Form:
    """What the annotation wants; raises TypeError where it wants what there is not."""
    name, is_async = function.__qualname__, inspect.iscoroutinefunction(function)
    try:
        wanted = get_type_hints(function).get("return", str)
    except NameError as error:
        msg = f"{name}: its annotations cannot be read: {error}"
        raise TypeError(msg) from None
    origin, items = get_origin(wanted), get_args(wanted)
    if origin in _ITERATORS and items[0] in _ITEMS:
        if is_async:
            msg = f"{name}: write `def {function.__name__}(...) -> AsyncIterator[...]`, without async"
            raise TypeError(msg)
        return _ITERATORS[origin](_ITEMS[items[0]])
    if wanted in _WHOLE:
        return (AsyncWhole if is_async else Whole)(_WHOLE[wanted])
    msg = (
        f"{name}: -> {getattr(wanted, '__name__', wanted)} is not what a provider writes; use str, Answer, "
        "Iterator[str], Iterator[Chunk], AsyncIterator[str] or AsyncIterator[Chunk]"
    )
    raise TypeError(msg)
