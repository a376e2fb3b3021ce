"""A mapping with exactly one kind of a role (`{kill: router}`), and what it describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import Place, did_you_mean
from harness.kind_options import Reader, options_of
from harness.kinds import Kinds
from harness.references import Broken
from harness.yaml_places import Node, Problems


@dataclass(frozen=True, slots=True)
class KindReader:
    """Reads what a mapping describes; its references have been replaced."""

    reader: Reader

    @property
    def problems(self) -> Problems:
        """Where mistakes are noted."""
        return self.reader.problems

    def one_of(self, kinds: Kinds[Any], node: Node, timing: tuple[str, ...] = ()) -> Any:
        """What a mapping with exactly one kind of a role describes; None if it is mistaken."""
        if isinstance(node.value, Broken):
            return None
        if isinstance(node.value, str):
            node = Node({node.value: Node(None, node.place)}, node.place, {node.value: node.place})
        if not node.is_mapping or not node.value:
            message = (
                f"expected a {kinds.role} and its options, got {node.shown()}. Known: {', '.join(kinds)}."
            )
            self.problems.add(node, message)
            return None
        name = self._kind_in(kinds, node, timing)
        cls = self.class_of(kinds, name, node.keys[name]) if name else None
        if name is None or cls is None:
            return None
        rest = {key: item for key, item in node.value.items() if key != name and key not in timing}
        return self._built(cls, node, name, rest, f"{kinds.role} '{name}'")

    def _built(self, cls: Any, node: Node, name: str, rest: Mapping[str, Node], what: str) -> Any:
        main = node.value[name]
        if not rest or main.value is None:
            if not rest:
                at = replace(main, place=node.keys[name]) if main.value is None else main
                return self.reader.from_short_form(cls, at, what, name)
            return self.reader.build(cls, rest, node, what, node.keys)
        options = options_of(cls)
        if not options:
            self.problems.add(main, f"{what} has no options, got {main.shown()}")
            return None
        given = {options[0].key: main, **rest}
        return self.reader.build(cls, given, node, what, node.keys, {options[0].key: name})

    def _kind_in(self, kinds: Kinds[Any], node: Node, timing: tuple[str, ...]) -> str | None:
        named: list[str] = [key for key in node.value if key in kinds]
        if len(named) > 1:
            named = self._main_of(kinds, named)
        if len(named) == 1:
            return named[0]
        if named:
            two = f"two at once, {' and '.join(named)}"
            message = f"{two}; one mapping holds one {kinds.role}. Write a list of mappings"
            self.problems.add(node.keys[named[1]], message)
            return None
        if set(node.value) <= set(timing):
            self.problems.add(node, f"a time, and no {kinds.role} beside it. Known: {', '.join(kinds)}.")
            return None
        first: str = next((key for key in node.value if key not in timing), next(iter(node.value)))
        self.problems.add(
            node.keys[first], f"no {kinds.role} is called '{first}'.{did_you_mean(first, kinds)}"
        )
        return None

    def _main_of(self, kinds: Kinds[Any], named: list[str]) -> list[str]:
        """Of several keys that are kinds, those that have the others as options; else all."""
        owners = []
        for name in named:
            cls = self.class_of(kinds, name)
            keys = {option.key for option in options_of(cls)} if cls else set()
            if keys >= set(named) - {name}:
                owners.append(name)
        return owners if len(owners) == 1 else named

    def class_of(self, kinds: Kinds[Any], name: str, place: Place | None = None) -> Any:
        """A kind's class; None if it cannot be loaded, which is noted if there is a place for it."""
        try:
            return kinds[name]
        except (ImportError, AttributeError) as error:
            if place is not None:
                self.problems.add(place, f"the {kinds.role} '{name}' cannot be loaded: {error}")
            return None
