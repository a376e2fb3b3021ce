"""YAML with the place of every value, in the core schema of YAML 1.2: `no`, `on` and `1:30` are text.

Built on PyYAML's events, so that depth and size are bounded before anything is built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Place, Problem, ScenarioError, did_you_mean

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 50_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TAGS = {"tag:yaml.org,2002:str", "!"}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands: a scalar, a dict of nodes, or a tuple of nodes.

    `keys` holds the keys' places; `stands_for` is the reference that stands there in the file, if one does.
    """

    value: Any
    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)
    stands_for: str = ""

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, tuple)

    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node:
        """The node that a path leads to, or the last one on its way."""
        node = self
        for part in path:
            inside = isinstance(node.value, dict) and part in node.value
            if inside or (node.is_list and isinstance(part, int) and part < len(node.value)):
                node = node.value[part]
        return node

    def with_at(self, path: tuple[str | int, ...], new: Node) -> Node:
        """A copy in which the node that a path leads to is another one."""
        if not path:
            return new
        first, rest = path[0], path[1:]
        inner = self.value[first].with_at(rest, new)
        if isinstance(self.value, dict):
            return replace(self, value={**self.value, first: inner})
        items = list(self.value)
        items[int(first)] = inner
        return replace(self, value=tuple(items))

    def shown(self) -> str:
        """The value as a message quotes it."""
        if isinstance(self.value, dict):
            return "a mapping" if self.value else "an empty mapping"
        if isinstance(self.value, tuple):
            return "a list" if self.value else "an empty list"
        if self.value is None:
            return "nothing"
        if not isinstance(self.value, str):
            return str(self.value).lower()
        return f"'{self.value[:57]}...'" if len(self.value) > 60 else f"'{self.value}'"


@dataclass(slots=True)
class Problems:
    """Collects mistakes; one file's are all told at once."""

    found: list[Problem] = field(default_factory=list)

    def add(self, where: Node | Place, message: str) -> None:
        """Note a mistake."""
        self.found.append(Problem(where.place if isinstance(where, Node) else where, message))

    def unknown_key(self, place: Place, key: str, known: Iterator[str] | Any, owner: str) -> None:
        """Note a key that its owner does not have."""
        self.add(place, f"{owner} has no key '{key}'.{did_you_mean(key, known)}")

    def raise_if_any(self) -> None:
        """Raise all of them as one ScenarioError."""
        if self.found:
            raise ScenarioError(self.found)


def shown_path(path: Path) -> str:
    """A path as messages show it: relative to where the user stands, if it is below."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(path)


def read_yaml(path: Path, problems: Problems) -> Node | None:
    """Read one YAML document; None, with its mistakes noted, for a file that holds no value."""
    place = Place(shown_path(path))
    text = _read_text(path, place, problems)
    if text is None:
        return None
    return parse_yaml(text, place.file, problems)


def _read_text(path: Path, place: Place, problems: Problems) -> str | None:
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            problems.add(place, f"the file is larger than {MAX_BYTES // 1000} kB; that is no scenario")
            return None
        raw = path.read_bytes()
    except FileNotFoundError:
        problems.add(place, f"there is no such file{_file_near(path)}")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.add(place, f"the file cannot be read: {reason}")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.add(Place(place.file, line), "the file is not text in UTF-8")
        return None


def _file_near(path: Path) -> str:
    folder = path.parent
    names = [p.name for p in folder.iterdir() if p.suffix == path.suffix] if folder.is_dir() else []
    return f".{did_you_mean(path.name, names)}" if names else ""


def parse_yaml(text: str, file: str, problems: Problems) -> Node | None:
    """Parse one YAML document from text; see `read_yaml`."""
    try:
        node = _Builder(file, problems, yaml.parse(text, Loader=_Loader)).document()
    except yaml.MarkedYAMLError as error:
        problems.add(*_broken(text, file, error))
        return None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        problems.add(Place(file, line), f"not valid YAML: {error.reason}")
        return None
    except UnicodeEncodeError:
        problems.add(Place(file), "the text holds characters that UTF-8 does not have")
        return None
    except _TooMuch as error:
        problems.add(error.place, str(error))
        return None
    if node is None:
        problems.add(Place(file), "the file is empty")
    return node


def _broken(text: str, file: str, error: yaml.MarkedYAMLError) -> tuple[Place, str]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.split("\n")
    written = lines[line] if line < len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())] or written[column : column + 1] == "\t":
        problem = "a tab; YAML is indented with spaces"
    else:
        problem = ", ".join(part for part in (error.problem, error.context) if part) or "it breaks off"
        begun = error.context_mark
        problem += (
            f" that begins in line {begun.line + 1}" if begun and error.context and begun.line < line else ""
        )
    return Place(file, line + 1, column + 1), f"not valid YAML: {problem}"


class _TooMuch(Exception):
    """The document is deeper or larger than any scenario."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class _Builder:
    """Builds nodes from a stream of events."""

    def __init__(self, file: str, problems: Problems, events: Iterator[Any]) -> None:
        self._file = file
        self._problems = problems
        self._events = events
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def document(self) -> Node | None:
        """The only document; None where there is none."""
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    self._problems.add(self._place(event), "a second document starts here; a file holds one")
                    return node
                node = self._node(next(self._events), 0)
        return None if node is not None and node.value is None else node

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), place)
        before = self._count
        self._grow(1, place)
        if depth > MAX_DEPTH:
            raise _TooMuch(place, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, place), place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(tuple(self._items(depth)), place)
        else:
            node = self._mapping(place, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _alias(self, anchor: str, place: Place) -> Node:
        if anchor not in self._anchors:
            self._problems.add(place, f"*{anchor} stands for nothing, or for what it is itself a part of")
            return Node(None, place)
        node, size = self._anchors[anchor]
        self._grow(size, place)
        return node

    def _grow(self, size: int, place: Place) -> None:
        self._count += size
        if self._count > MAX_NODES:
            raise _TooMuch(place, f"the file holds more than {MAX_NODES} values, repeated ones included")

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, place: Place, depth: int) -> Node:
        value: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_place = self._place(event)
            key = self._key(event, depth)
            node = self._node(next(self._events), depth + 1)
            if key == "<<":
                merged += node.value if node.is_list else [node]
            elif key is not None and key in value:
                self._problems.add(key_place, f"'{key}' is written twice, first in line {keys[key].line}")
            elif key is not None:
                value[key], keys[key] = node, key_place
        for node in merged:
            if not node.is_mapping:
                self._problems.add(node, f"<< takes mappings, got {node.shown()}")
                continue
            value = {**node.value, **value}
            keys = {**node.keys, **keys}
        return Node(value, place, keys)

    def _key(self, event: Any, depth: int) -> str | None:
        place = self._place(event)
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor:
                self._anchors[event.anchor] = (Node(str(event.value), place), 1)
            return str(event.value)
        node = self._node(event, depth + 1)
        if isinstance(event, yaml.AliasEvent) and isinstance(node.value, str):
            return node.value
        hint = ' Quote a reference in braces: "{router.url}".' if node.is_mapping else ""
        self._problems.add(place, f"a key must be text, got {node.shown()}.{hint}")
        return None

    def _scalar(self, event: Any, place: Place) -> Any:
        if event.tag is not None and event.tag not in _TAGS:
            self._problems.add(place, f"the tag {event.tag} means nothing here")
        if event.tag is None and event.implicit[0]:
            return core_scalar(event.value)
        return event.value


def core_scalar(text: str) -> Any:
    """A plain scalar's value in the YAML 1.2 core schema; infinities and NaN are text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdecimal() and math.isfinite(number := float(text)):
        return number
    return text
