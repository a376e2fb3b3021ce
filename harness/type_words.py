"""Types in words: what a user is told when a value does not fit, and what `muster list` shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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
    bounds = _bounds([b for m in marks for b in (m.metadata if isinstance(m, FieldInfo) else [m])])
    for mark in marks:
        if isinstance(mark, BeforeValidator) and mark.func in _QUANTITIES:
            return [f"{_QUANTITIES[mark.func]}, {bounds.strip(', ')}".rstrip(", ")]
        if isinstance(mark, Names):
            return [f"the name of a {mark.what}" if mark.what[0] != "a" else f"the name of an {mark.what}"]
    words = _alternatives(inner)
    return [f"{words[0]}{bounds}", *words[1:]]


def _bounds(marks: list[Any]) -> str:
    low = next((_just_above(m.gt, marks) for m in marks if isinstance(m, annotated_types.Gt)), "")
    low = next((f"{m.ge}" for m in marks if isinstance(m, annotated_types.Ge)), low)
    high = next((f"{m.le}" for m in marks if isinstance(m, annotated_types.Le)), "")
    high = next((f"below {m.lt}" for m in marks if isinstance(m, annotated_types.Lt)), high)
    if low and high:
        return f" from {low} to {high}" if low[0] != "a" else f" {low} and at most {high}"
    if low:
        return f" {low}" if low[0] == "a" else f", at least {low}"
    return f", at most {high}" if high else ""


def _just_above(limit: Any, marks: list[Any]) -> str:
    whole = isinstance(limit, int) and not any(isinstance(mark, BeforeValidator) for mark in marks)
    return str(limit + 1) if whole else f"above {limit}"


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
