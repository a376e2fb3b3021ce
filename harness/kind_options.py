"""A kind's frozen fields as its options: read from YAML, checked by pydantic, explained in our own words."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from harness.errors import Place, did_you_mean
from harness.options import Names
from harness.references import Broken, FromEnvironment, resolve_text, to_text
from harness.type_words import explain, hint_at, place_of
from harness.yaml_places import Node, Problems

T = TypeVar("T")

REQUIRED = dataclasses.MISSING
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a kind: its key in YAML, the field it fills, its type, default and description."""

    key: str
    field: str
    hint: Any
    default: Any
    about: str

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


def options_of(cls: Any) -> tuple[Option, ...]:
    """The options of a kind's class, the main one first."""
    found: tuple[Option, ...] = _options_of(cls)
    return found


@cache
def _options_of(cls: Any) -> tuple[Option, ...]:
    hints = get_type_hints(cls, include_extras=True)
    docs = _field_docs(cls)
    return tuple(
        Option(
            key=_alias(hints[f.name]) or f.name,
            field=f.name,
            hint=_without_alias(hints[f.name]),
            default=f.default_factory() if f.default_factory is not REQUIRED else f.default,
            about=f.metadata.get("doc", "") or docs.get(f.name, ""),
        )
        for f in dataclasses.fields(cls)
        if f.init
    )


def _alias(hint: Any) -> str:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((mark.alias for mark in marks if isinstance(mark, FieldInfo) and mark.alias), "")


def _without_alias(hint: Any) -> Any:
    if not _alias(hint):
        return hint
    inner, *marks = get_args(hint)
    for mark in marks:
        for part in mark.metadata if isinstance(mark, FieldInfo) else [mark]:
            inner = Annotated[inner, part]
    return inner


def _field_docs(cls: type) -> dict[str, str]:
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        docs.update(_docs_below(body))
    return docs


def _docs_below(body: ast.stmt) -> Iterator[tuple[str, str]]:
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for named, doc in pairwise(statements):
        if isinstance(named, ast.AnnAssign) and isinstance(named.target, ast.Name):
            value = doc.value if isinstance(doc, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield named.target.id, " ".join(value.value.split())


def bare_types(hint: Any) -> Iterator[Any]:
    """The alternatives of a type, Annotated and unions taken apart; Annotated[str, Names] stays whole."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        if any(isinstance(mark, Names) for mark in marks):
            yield hint
        else:
            yield from bare_types(inner)
    elif get_origin(hint) is Union or isinstance(hint, type(int | str)):
        for alternative in get_args(hint):
            yield from bare_types(alternative)
    else:
        yield hint


def takes(hint: Any, *containers: type) -> bool:
    """Whether a type has one of these containers among its alternatives."""
    return any(
        isinstance(origin := get_origin(t) or t, type) and issubclass(origin, containers)
        for t in bare_types(hint)
    )


def takes_mapping(hint: Any) -> bool:
    """Whether a mapping may be this option's value."""
    return takes(hint, Mapping)


def takes_list(hint: Any) -> bool:
    """Whether a list may be this option's value, and plain text may not."""
    return takes(hint, tuple, list, set, frozenset) and not takes(hint, str)


@dataclass(slots=True)
class Reader:
    """Reads options; `names` says which names of a sort (`service`, `model`) exist, None if nobody knows."""

    problems: Problems
    names: Callable[[str], tuple[str, ...] | None]

    def from_short_form(self, cls: type[T], node: Node, what: str, called: str) -> T | None:
        """The main option alone (named as the kind is `called`), all options, or nothing at all."""
        main = options_of(cls)[0] if options_of(cls) else None
        keys = {option.key for option in options_of(cls)}
        if node.value is None:
            return self.build(cls, {}, node, what)
        if node.is_mapping and not (main and takes_mapping(main.hint) and not keys & set(node.value)):
            return self.from_mapping(cls, node, what)
        if main is None:
            self.problems.add(node, f"{what} has no options, got {node.shown()}")
            return None
        return self.build(cls, {main.key: node}, node, what, labels={main.key: called})

    def from_mapping(self, cls: type[T], node: Node, what: str) -> T | None:
        """All options, each under its key."""
        if not node.is_mapping:
            self.problems.add(node, f"{what} takes a mapping, got {node.shown()}")
            return None
        return self.build(cls, node.value, node, what, node.keys)

    def build(
        self,
        cls: type[T],
        given: Mapping[str, Node],
        where: Node,
        what: str,
        keys: Mapping[str, Place] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> T | None:
        """An instance from options by key; every mistake is noted, and any makes it None."""
        options = {option.key: option for option in options_of(cls)}
        before = len(self.problems.found)
        for key in given:
            if key not in options:
                place = (keys or {}).get(key, given[key].place)
                self.problems.add(place, f"{what} has no option '{key}'.{did_you_mean(key, options)}")
        for key, option in options.items():
            if option.required and key not in given:
                self.problems.add(where, f"{what} needs '{key}'{_because(option)}")
        values = {
            option.field: self.value(option.hint, given[key], (labels or {}).get(key, key))
            for key, option in options.items()
            if key in given
        }
        if len(self.problems.found) > before or any(map(is_broken, given.values())):
            return None
        try:
            return cls(**values)
        except ValueError as error:
            self.problems.add(where, f"{what}: {error}")
            return None

    def value(self, hint: Any, node: Node, label: str) -> Any:
        """A node's value as a type wants it; mistakes are noted."""
        node = one_as_list(hint, node)
        if is_broken(node):
            return None
        if (cls := dataclass_of(hint)) and node.is_mapping:
            return self.from_mapping(cls, node, label)
        try:
            value = validated(hint, node)
        except ValidationError as error:
            path = place_of(error, node)
            at = node.at(path)
            texts = at.stands_for and takes(hint_at(hint, path), str)
            if texts and not isinstance(at.value, (str, dict, NoneType)):
                return self.value(hint, node.with_at(path, replace(at, value=to_text(at.plain()))), label)
            place, message = explain(error, hint, node, label)
            self.problems.add(place, message)
            return None
        for mark, leaf in named_in(hint, node):
            self._check_name(mark, leaf)
        return value

    def _check_name(self, mark: Names, leaf: Node) -> None:
        known = self.names(mark.what)
        name = resolve_text(leaf.value)
        if known is None or not name or name in known:
            return
        self.problems.add(leaf, f"no {mark.what} is called '{name}'.{did_you_mean(name, known)}")


def _reads_itself(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(isinstance(m, BeforeValidator) for m in get_args(hint)[1:])


def dataclass_of(hint: Any) -> type | None:
    """The dataclass among a type's alternatives, if there is one."""
    return next((t for t in bare_types(hint) if isinstance(t, type) and dataclasses.is_dataclass(t)), None)


def one_as_list(hint: Any, node: Node) -> Node:
    """A single value as a list of one, where a list is wanted and the value fits as its item."""
    single = isinstance(node.value, Scalar) and node.value not in _literals(hint)
    if not single or not takes_list(hint) or _reads_itself(hint):
        return node
    listed = Node((node,), node.place)
    try:
        validated(hint, listed)
    except ValidationError:
        return node
    return listed


def validated(hint: Any, node: Node) -> Any:
    """The value of a type; text of the environment may become a number. Raises pydantic's ValidationError."""
    strict = not any(isinstance(leaf.value, FromEnvironment) for leaf in leaves(node))
    return adapter(hint).validate_json(json.dumps(node.plain()), strict=strict)


def _because(option: Option) -> str:
    return f": {option.about[0].lower()}{option.about[1:].rstrip('.')}" if option.about else ""


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def adapter(hint: Any) -> TypeAdapter[Any]:
    """The reader of a type, kept."""
    try:
        return _adapter(hint)
    except TypeError:  # a type with unhashable marks
        return TypeAdapter(hint)


def leaves(node: Node) -> Iterator[Node]:
    """All scalars of a node."""
    if isinstance(node.value, dict):
        for item in node.value.values():
            yield from leaves(item)
    elif isinstance(node.value, tuple):
        for item in node.value:
            yield from leaves(item)
    else:
        yield node


def is_broken(node: Node) -> bool:
    """Whether a reference within is mistaken, which has been told."""
    return any(isinstance(leaf.value, Broken) for leaf in leaves(node))


def named_in(hint: Any, node: Node) -> Iterator[tuple[Names, Node]]:
    """The texts of a value that its type says are names, with what they name."""
    for alternative in bare_types(hint):
        if get_origin(alternative) is Annotated:
            if isinstance(node.value, str) and node.value not in _literals(hint):
                mark = next(mark for mark in get_args(alternative)[1:] if isinstance(mark, Names))
                yield mark, node
        elif node.is_list and takes(alternative, tuple, list, set, frozenset):
            for item in node.value:
                yield from named_in(get_args(alternative)[0], item)
        elif node.is_mapping and takes(alternative, Mapping) and get_args(alternative):
            of_key, of_value = get_args(alternative)
            for key, item in node.value.items():
                yield from named_in(of_key, Node(key, node.keys.get(key, item.place)))
                yield from named_in(of_value, item)


def _literals(hint: Any) -> set[Any]:
    return {value for t in bare_types(hint) if get_origin(t) is Literal for value in get_args(t)}
