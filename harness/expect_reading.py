"""Expectations: a check, and when it is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.checks import CHECKS
from harness.kind_options import options_of
from harness.kind_reading import KindReader
from harness.model import Expect, Step
from harness.quantities import Duration
from harness.yaml_places import Node, Problems


@dataclass(frozen=True, slots=True)
class ExpectReader:
    """Reads expectations; their references have been replaced."""

    kinds: KindReader

    @property
    def problems(self) -> Problems:
        """Where mistakes are noted."""
        return self.kinds.problems

    def beside(self, written: Node) -> tuple[Expect, ...]:
        """What stands at `expect:` of a step: one expectation, or a list judged together."""
        items = written.value if written.is_list else (written,)
        if not items:
            self.problems.add(written, "expect: an empty list expects nothing")
        return tuple(found for item in items if (found := self.expectation(item)) is not None)

    def expectation(self, node: Node) -> Expect | None:
        """One check and its timing."""
        timing = {key: node.value[key] for key in ("within", "for") if node.is_mapping and key in node.value}
        if node.is_mapping and "never" in node.value:
            return self._never(node, timing)
        timing = {key: item for key, item in timing.items() if not self._is_own_option(node, key)}
        check = self.kinds.one_of(CHECKS, node, tuple(timing))
        if len(timing) == 2:
            self.problems.add(
                node.keys["for"], "within (true in time) and for (true all the while) exclude each other"
            )
        within, hold = (self._duration(timing.get(key), key) for key in ("within", "for"))
        return Expect(check=check, place=node.place, within=within, hold=hold) if check is not None else None

    def _is_own_option(self, node: Node, key: str) -> bool:
        name = next((k for k in node.value if k in CHECKS), None)
        cls = self.kinds.class_of(CHECKS, name) if name else None
        return cls is not None and key in {option.key for option in options_of(cls)}

    def _never(self, node: Node, timing: Mapping[str, Node]) -> Expect | None:
        for key in node.value:
            if key not in ("never", *timing):
                self.problems.add(node.keys[key], f"'{key}' belongs inside never: {{...}}")
        if "within" in timing:
            self.problems.add(node.keys["within"], "never has no 'within'; 'for' says how long it is watched")
        check = self.kinds.one_of(CHECKS, node.value["never"])
        hold = self._duration(timing.get("for"), "for")
        return Expect(check=check, place=node.place, hold=hold, never=True) if check is not None else None

    def _duration(self, node: Node | None, label: str) -> float | None:
        return None if node is None else self.kinds.reader.value(Duration, node, label)

    def at_the_end(self, node: Node) -> tuple[Step, ...]:
        """The checks on the whole history, each a step of its own."""
        if not node.is_list:
            self.problems.add(node, f"checks: expected a list of checks, got {node.shown()}")
            return ()
        found: list[Step] = []
        for item in node.value:
            expect = self.expectation(item)
            if expect is None:
                continue
            if expect.within is not None or expect.hold is not None:
                self.problems.add(
                    item, "checks are judged once, at the end: 'within' and 'for' belong to steps"
                )
            name = self._check_name(expect, [step.name for step in found])
            number = f"checks.{len(found) + 1}"
            found.append(Step(id=number, path=("checks", name), place=item.place, expects=(expect,)))
        return tuple(found)

    def _check_name(self, expect: Expect, taken: Sequence[str]) -> str:
        name = f"{'never ' if expect.never else ''}{CHECKS.name_of(type(expect.check))}"
        count = sum(other == name or other.startswith(f"{name} ") for other in taken)
        return f"{name} {count + 1}" if count else name
