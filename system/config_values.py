"""Reading one configuration value: from text (flag, environment) or from what TOML holds, to its type.

A reader takes either form and returns the value, or raises Unfit with words that follow "must be".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

Reader = Callable[[Any], Any]


class Unfit(ValueError):
    """What the value must be instead."""


@dataclass(frozen=True, slots=True)
class Parse:
    """Marks, inside Annotated, how a value is read and what its flag shows as a placeholder."""

    read: Reader
    metavar: str


_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")


def read_duration(value: Any) -> float:
    """Seconds of `5`, `2.5`, `"500ms"`, `"5s"`, `"2m"`, `"1h"`."""
    match = _DURATION.fullmatch(str(value).strip().lower()) if not isinstance(value, bool) else None
    if match is None:
        msg = "a duration such as 5s, 500ms or 2m"
        raise Unfit(msg)
    return float(match[1]) * _UNITS[match[2]]


def read_port(value: Any) -> int:
    """A port number; 0 asks for a free one."""
    msg = "a port from 0 to 65535"
    port = _whole(value, msg)
    if not 0 <= port <= 65535:
        raise Unfit(msg)
    return port


Duration = Annotated[float, Parse(read_duration, "DURATION")]
Port = Annotated[int, Parse(read_port, "PORT")]


def _whole(value: Any, msg: str = "a whole number") -> int:
    if isinstance(value, bool | float):
        raise Unfit(msg)
    try:
        return int(value)
    except (ValueError, TypeError):
        raise Unfit(msg) from None


def _number(value: Any) -> float:
    msg = "a number"
    if isinstance(value, bool):
        raise Unfit(msg)
    try:
        return float(value)
    except (ValueError, TypeError):
        raise Unfit(msg) from None


_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _WORDS:
        msg = "true or false"
        raise Unfit(msg)
    return _WORDS[word]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = "text in quotes"
        raise Unfit(msg)
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value:
        msg = "the path of a file"
        raise Unfit(msg)
    return Path(value).expanduser()


def _listed(item: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list):
            msg = "a list"
            raise Unfit(msg)
        return tuple(item(one) for one in value)

    return read


def _table(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    pairs = [part.partition("=") for part in (value if isinstance(value, list) else str(value).split(","))]
    if not all(sign and key for key, sign, _ in pairs):
        msg = "a table, or KEY=VALUE on the command line"
        raise Unfit(msg)
    return {key: text for key, _, text in pairs}


def _chosen(choices: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if value not in choices:
            raise Unfit("one of " + ", ".join(map(str, choices)))
        return value

    return read


_PLAIN: dict[Any, tuple[Reader, str]] = {
    str: (_text, "TEXT"),
    int: (_whole, "N"),
    float: (_number, "N"),
    bool: (_flag, ""),
    Path: (_path, "FILE"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field's type means for its flag, its key and its variable."""

    read: Reader
    metavar: str
    listed: bool = False  # a flag that may be given several times
    switch: bool = False  # a flag without a value


def shape_of(annotation: Any) -> Shape:
    """The shape of a type annotation: the one place that knows which types a configuration may use."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        parse = next((mark for mark in marks if isinstance(mark, Parse)), None)
        return Shape(parse.read, parse.metavar) if parse else shape_of(base)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return shape_of(next(one for one in arguments if one is not type(None)))
    if origin is tuple:
        item = shape_of(arguments[0])
        return Shape(_listed(item.read), item.metavar, listed=True)
    if origin is Literal:
        return Shape(_chosen(arguments), "{" + ",".join(map(str, arguments)) + "}")
    if annotation in (dict, Mapping) or origin in (dict, Mapping):
        return Shape(_table, "KEY=VALUE", listed=True)
    reader, metavar = _PLAIN[annotation]
    return Shape(reader, metavar, switch=annotation is bool)
