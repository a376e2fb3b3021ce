"""Steps of a scenario: YAML -> Step, with every mistake noted where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field

from harness.actions import ACTIONS, Wait
from harness.errors import did_you_mean
from harness.expect_reading import ExpectReader
from harness.faults import FAULTS
from harness.kind_options import Reader, options_of
from harness.kind_reading import KindReader
from harness.kinds import Kinds
from harness.load import LOADS
from harness.model import Expect, Step
from harness.quantities import Duration
from harness.references import (
    Broken,
    Namespace,
    constant,
    escape,
    expand,
    resolve_text,
)
from harness.yaml_places import Node

LIMIT = 60.0
"""Seconds a step may take unless it, or a step around it, says otherwise."""

ROLES: Mapping[str, Kinds[Any]] = {"load": LOADS, "fault": FAULTS}
"""Actions that name a kind; the others are kinds themselves."""

DOES = (*ROLES, *ACTIONS)
LASTS = ("load", "fault")
TIMING = ("within", "for", "never")


@dataclass(frozen=True, kw_only=True)
class StepFields:
    """One thing done, or expected, or both."""

    name: str
    """What reports and pytest call it; unique among its neighbours."""
    each: Mapping[str, Any] = field(default_factory=dict)
    """Repeat the step for every value of a list: {model: "{topology.models}"}; {model} is the value."""
    load: Any = None
    """Send traffic; with nested steps, for as long as they take."""
    fault: Any = None
    """Disturb; lasts for the nested steps, or `for` a time, and is then healed."""
    start: Any = None
    """Start a service that was stopped."""
    stop: Any = None
    """Stop a service; it stays down until a `start`."""
    call: Any = None
    """Send one HTTP request and record the answer."""
    wait: Any = None
    """Let time pass."""
    expect: Any = None
    """A check, or a list of checks that are judged together."""
    steps: Any = None
    """Steps that happen while the load or fault lasts."""
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long a fault without nested steps lasts."""
    presumes: str = ""
    """An earlier step without which this one says nothing: where that is not applicable, so is this."""
    required: bool = False
    """Where this is not a pass, nothing after it is run."""
    limit: Duration = LIMIT
    """The most time it may take; nested steps inherit it."""


KEYS = tuple(option.key for option in options_of(StepFields))


class StepReader:
    """Reads steps; `scope` is what their texts may refer to."""

    def __init__(self, reader: Reader, scope: Namespace) -> None:
        self._reader = reader
        self._names: list[str] = []
        self._problems = reader.problems
        self._kinds = KindReader(reader)
        self._expectations = ExpectReader(self._kinds)
        self._scope = scope

    def steps(
        self, node: Node, scope: Namespace | None = None, above: Step | None = None
    ) -> tuple[Step, ...]:
        """A list of steps."""
        if not node.is_list:
            self._problems.add(node, f"steps: expected a list of steps, got {node.shown()}")
            return ()
        found: list[Step] = []
        for item in node.value:
            for one, one_scope in self._each(item, scope or self._scope):
                number = f"{above.id}.{len(found) + 1}" if above else f"{len(found) + 1}"
                step = self._step(one, one_scope, number, above)
                if step is not None:
                    found.append(
                        self._distinct(step, found, repeated=one_scope is not (scope or self._scope))
                    )
        return tuple(found)

    def _distinct(self, step: Step, before: Sequence[Step], *, repeated: bool) -> Step:
        same = next((other for other in before if other.name == step.name), None)
        if same is None:
            return step
        message = f"two steps here are called '{step.name}' (the first in line {same.place.line})"
        if repeated and same.place == step.place:
            message = f"each step needs a name of its own: put the variable of 'each' into '{step.name}'"
        self._problems.add(step.place, f"{message}; pytest and reports tell steps apart by their names")
        return step

    def _each(self, node: Node, scope: Namespace) -> Iterator[tuple[Node, Namespace]]:
        """The step once for every value of its `each`, the variable in scope."""
        each = node.value.get("each") if node.is_mapping else None
        if each is None:
            yield node, scope
            return
        if not each.is_mapping or len(each.value) != 1:
            self._problems.add(each, f"each: expected one variable and its list, got {each.shown()}")
            return
        variable, written = next(iter(each.value.items()))
        if variable in scope.names():
            self._problems.add(each.keys[variable], f"each: '{variable}' stands for something else already")
            return
        values = expand(written, scope, self._problems)
        if isinstance(values.value, Broken):
            return
        if not values.is_list:
            self._problems.add(written, f"each: expected a list for '{variable}', got {values.shown()}")
            return
        if not values.value:
            yield self._nothing(node, written), _with(scope, variable, f"no {variable}")
        for value in values.value:
            yield node, _with(scope, variable, value.plain())

    def _nothing(self, node: Node, written: Node) -> Node:
        source = str(written.value).strip("{}") if isinstance(written.value, str) else "each"
        said = NOTHING.get(source, "there is nothing to repeat the step for")
        kept = {key: item for key, item in node.value.items() if key in ("name", "limit")}
        return Node(kept | {"": Node(f"{source} is empty: {said}", written.place)}, node.place, node.keys)

    def _step(self, node: Node, scope: Namespace, number: str, above: Step | None) -> Step | None:
        if not node.is_mapping:
            self._problems.add(node, f"a step is a mapping with a name, got {node.shown()}")
            return None
        for key in node.value:
            if key and key not in KEYS:
                self._problems.unknown_key(node.keys[key], key, KEYS, "a step")
        name = self._name(node, scope)
        limit = self._limit(node, scope, above)
        path = (*(above.path if above else ()), name)
        step = Step(
            id=number,
            path=path,
            place=node.place,
            limit=limit,
            presumes=self._presumes(node, scope),
            required=self._required(node),
        )
        self._names.append(name)
        if "" in node.value:
            return replace(step, nothing=node.value[""].value)
        step = self._with_action(step, node, scope)
        step = replace(step, expects=self._expects(node, scope))
        return self._with_nested(step, node, scope)

    def _name(self, node: Node, scope: Namespace) -> str:
        named = node.value.get("name")
        if named is None or named.value in (None, ""):
            self._problems.add(named or node, "a step needs a name: it is what reports and pytest call it")
            return "?"
        value = expand(named, scope, self._problems)
        if value.is_list or value.is_mapping:
            self._problems.add(named, f"name: expected text, got {value.shown()}")
            return "?"
        name = " ".join(resolve_text(str(value.value)).split())
        if "::" in name:
            self._problems.add(named, f"name: '{name}' holds '::', which pytest puts between names")
        return name

    def _limit(self, node: Node, scope: Namespace, above: Step | None) -> float:
        inherited = above.limit if above else LIMIT
        if "limit" not in node.value:
            return inherited
        value = self._reader.value(Duration, expand(node.value["limit"], scope, self._problems), "limit")
        return float(value) if value is not None else inherited

    def _required(self, node: Node) -> bool:
        stated = node.value.get("required")
        return stated is not None and bool(self._reader.value(bool, stated, "required"))

    def _presumes(self, node: Node, scope: Namespace) -> str:
        if "presumes" not in node.value:
            return ""
        written = expand(node.value["presumes"], scope, self._problems)
        name = self._reader.value(str, written, "presumes") or ""
        if name and name not in self._names:
            hint = did_you_mean(name, self._names)
            self._problems.add(written, f"presumes: no earlier step is called '{name}'.{hint}")
        return resolve_text(name)

    def _with_action(self, step: Step, node: Node, scope: Namespace) -> Step:
        doing = [key for key in DOES if key in node.value]
        if len(doing) > 1:
            also = node.keys[doing[1]]
            self._problems.add(
                also, f"a step does one thing; this one has {' and '.join(doing)}. Make it two steps"
            )
        if not doing and not {"expect", "steps"} & set(node.value) and set(node.value) <= set(KEYS):
            self._problems.add(step.place, f"the step does nothing and expects nothing; {_one_of()}")
        if not doing:
            return step
        does = doing[0]
        written = expand(node.value[does], scope, self._problems)
        if does in ROLES:
            action = self._kinds.one_of(ROLES[does], written)
        else:
            action = self._reader.from_short_form(ACTIONS[does], written, f"'{does}'", does)
        return replace(step, does=does, action=action)

    def _expects(self, node: Node, scope: Namespace) -> tuple[Expect, ...]:
        if "expect" not in node.value:
            return ()
        return self._expectations.beside(expand(node.value["expect"], scope, self._problems))

    def _duration(self, node: Node | None, label: str) -> float | None:
        return None if node is None else self._reader.value(Duration, node, label)

    def _with_nested(self, step: Step, node: Node, scope: Namespace) -> Step:
        lasting = node.value.get("for")
        if lasting is not None and step.does != "fault":
            where = "the load's own options" if step.does == "load" else "an expectation or a fault"
            self._problems.add(
                node.keys["for"],
                f"'for' beside '{step.does or 'expect'}' means nothing; it belongs into {where}",
            )
        if "steps" not in node.value:
            nested = (
                self._lasting(step, lasting, scope) if lasting is not None and step.does == "fault" else ()
            )
            return replace(step, steps=nested)
        if step.does and step.does not in LASTS:
            self._problems.add(
                node.keys["steps"], f"'{step.does}' is over at once; only a load or a fault has nested steps"
            )
        if lasting is not None and step.does == "fault":
            self._problems.add(
                node.keys["for"], "a fault lasts for its nested steps, or 'for' a time, not both"
            )
        return replace(step, steps=self.steps(node.value["steps"], scope, step))

    def _lasting(self, step: Step, lasting: Node, scope: Namespace) -> tuple[Step, ...]:
        seconds = self._duration(expand(lasting, scope, self._problems), "for")
        if seconds is None:
            return ()
        name = f"it lasts {seconds:g} s"
        return (
            Step(
                id=f"{step.id}.1",
                path=(*step.path, name),
                place=lasting.place,
                does="wait",
                action=Wait(seconds),
                limit=max(step.limit, seconds + 5),
            ),
        )

    def checks(self, node: Node) -> tuple[Step, ...]:
        """The checks on the whole history, each a step of its own."""
        return self._expectations.at_the_end(expand(node, self._scope, self._problems))


NOTHING = {
    "topology.models": "no model is stated or was discovered",
    "topology.registered": "no service is stated, or was discovered, to register",
    "topology.serving": "no service that offers models is stated or was discovered",
}


def _with(scope: Namespace, variable: str, value: Any) -> Namespace:
    return Namespace(scope.what, {variable: constant(escape(value))}, scope.all())


def _one_of() -> str:
    return f"give it one of: {', '.join((*DOES, 'expect'))}"
