"""Types in words: what a user is told when a value does not fit, and what `muster list` shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from harness.options import Names
from harness.quantities import parse_duration, parse_percent, parse_rate, parse_size

if TYPE_CHECKING:
    from harness.yaml_places import Node

_QUANTITIES = {
    parse_duration: "a duration like 5s",
    parse_percent: "a share like 10%",
    parse_rate: "a rate like 50/s",
    parse_size: "a size like 512M",
}
_UNITS: dict[Any, Callable[[float], str]] = {
    parse_duration: lambda value: f"{value:g} s",
    parse_percent: lambda value: f"{value * 100:g} %",
    parse_rate: lambda value: f"{value:g}/s",
    parse_size: lambda value: f"{value:g} bytes",
}
_PLAIN = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "nothing",
    Any: "anything",
    dict: "a mapping",
    list: "a list",
    tuple: "a list",
}


def in_words(hint: Any) -> str:
    """A type as a person would say it: `a whole number from 1 to 1000, or 'auto'`."""
    words = [word for word in dict.fromkeys(_alternatives(hint)) if word != "nothing"] or ["nothing"]
    return ", or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def quantity_in_words(hint: Any, value: Any) -> str:
    """A number with its unit, where its type says that it has one; else nothing."""
    if not isinstance(value, float):
        return ""
    marks = [
        mark for part in _parts(hint) for mark in get_args(part)[1:] if isinstance(mark, BeforeValidator)
    ]
    return next((_UNITS[m.func](value) for m in marks if m.func in _UNITS), "")


def default_in_words(hint: Any, value: Any) -> Any:
    """A default as a person would write it; a JSON value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)) or value is None:
        return quantity_in_words(hint, value) or value
    return list(value) if isinstance(value, (list, tuple)) else str(value or "")


def _parts(hint: Any) -> list[Any]:
    inner = [get_args(hint)[0]] if get_origin(hint) is Annotated else list(get_args(hint))
    return [hint, *(part for one in inner for part in _parts(one))]


def _alternatives(hint: Any) -> list[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(*arguments)
    if origin is Union or isinstance(hint, type(int | str)):
        return [word for alternative in arguments for word in _alternatives(alternative)]
    if origin is Literal:
        return [f"'{value}'" for value in arguments]
    if isinstance(origin, type) and issubclass(origin, (list, tuple, set, frozenset)):
        return [f"a list, each item {in_words(arguments[0])}" if arguments else "a list"]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return ["a mapping"]
    return [
        _PLAIN.get(
            hint, "a mapping" if dataclasses.is_dataclass(hint) else getattr(hint, "__name__", "a value")
        )
    ]


def _annotated(inner: Any, *marks: Any) -> list[str]:
    limits = [limit for m in marks for limit in (m.metadata if isinstance(m, FieldInfo) else [m])]
    bounds = _bounds(limits, whole=inner is int)
    for mark in marks:
        if isinstance(mark, BeforeValidator) and mark.func in _QUANTITIES:
            return [f"{_QUANTITIES[mark.func]}, {bounds}".removesuffix(", ")]
        if isinstance(mark, Names):
            return ["a registered name" if mark.what == "registered name" else f"the name of a {mark.what}"]
    words = _alternatives(inner)
    joint = " " if bounds.startswith("from") else ", "
    return [f"{words[0]}{joint if bounds else ''}{bounds}", *words[1:]]


def _bounds(marks: list[Any], *, whole: bool) -> str:
    low = next((f"above {m.gt}" for m in marks if isinstance(m, annotated_types.Gt)), "")
    low = next((f"at least {m.ge}" for m in marks if isinstance(m, annotated_types.Ge)), low)
    high = next((f"at most {m.le}" for m in marks if isinstance(m, annotated_types.Le)), "")
    high = next((f"below {m.lt}" for m in marks if isinstance(m, annotated_types.Lt)), high)
    if whole and low.startswith("above "):
        low = f"at least {int(low.removeprefix('above ')) + 1}"
    if low.startswith("at least ") and high.startswith("at most "):
        return f"from {low.removeprefix('at least ')} to {high.removeprefix('at most ')}"
    return " and ".join(bound for bound in (low, high) if bound)


def place_of(error: ValidationError, node: Node) -> tuple[str | int, ...]:
    """The path to the innermost value that does not fit."""
    return max((_real_path(node, detail["loc"]) for detail in error.errors(include_url=False)), key=len)


def explain(error: ValidationError, hint: Any, node: Node, label: str) -> tuple[Node, str]:
    """Where and why a value does not fit its type, without the words of the library that found out."""
    details = error.errors(include_url=False)
    paths = [_real_path(node, detail["loc"]) for detail in details]
    path = place_of(error, node)
    where = node.at(path)
    name = label + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    own = [
        d["ctx"]["error"]
        for d, p in zip(details, paths, strict=True)
        if p == path and "error" in d.get("ctx", {})
    ]
    wanted = hint_at(hint, path)
    if own and not any(word.startswith(tuple(_QUANTITIES.values())) for word in _alternatives(wanted)):
        return where, f"{name}: {own[0]}"
    return where, f"{name}: expected {in_words(wanted)}, got {where.shown()}{_advice(wanted, where)}"


def _advice(wanted: Any, where: Node) -> str:
    if wanted is str and isinstance(where.value, (int, float)):
        return "; put it in quotes to make it text"
    if where.is_mapping and len(where.value) == 1 and next(iter(where.value.values())).value is None:
        inner = next(iter(where.value))
        return f'; a reference is written in quotes: "{{{inner}}}"'
    return ""


def _real_path(node: Node, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A path of the library's without the names of alternatives that it holds besides keys and positions."""
    path: list[str | int] = []
    for part in loc:
        at = node.at(tuple(path))
        if (at.is_mapping and part in at.value) or (at.is_list and isinstance(part, int)):
            path.append(part)
    return tuple(path)


def hint_at(hint: Any, path: tuple[str | int, ...]) -> Any:
    """The type of what a path leads to within a value of a type."""
    for part in path:
        hint = _inside(hint, part)
    return hint


def _inside(hint: Any, part: str | int) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _inside(arguments[0], part)
    if origin is Union or isinstance(hint, type(int | str)):
        inner = [_inside(alternative, part) for alternative in arguments]
        return next((i for i in inner if i is not Any), Any)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(part, str):
        return arguments[1]
    if (
        isinstance(origin, type)
        and issubclass(origin, (list, tuple, set, frozenset))
        and isinstance(part, int)
    ):
        return arguments[0]
    return Any
