"""One service of a topology, as it is filled in: its options, and its fields from its kind's template.

Values are found when they are asked for: services may refer to each other in any order, but not in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.errors import Place, did_you_mean
from harness.kind_options import Reader, options_of
from harness.model import LogSource, Ready, Resources, ServedBy, ServiceSpec
from harness.references import (
    BadReference,
    Broken,
    Namespace,
    NotedAlready,
    address_of,
    constant,
    expand,
    host_namespace,
    to_text,
)
from harness.service_kinds import OPTION_TYPES, KindOption, ServiceFields, ServiceKind, ServiceKinds
from harness.yaml_places import Node, Problems

FIELDS = {option.key: option for option in options_of(ServiceFields)}
NOTHING_TO_START = "neither command nor image: nothing can be started"
SEEN_BY_OTHERS = ("url", "command", "ports", "env")
"""Fields that references may name; `program` and `arguments` are the two parts of a command."""


class ServiceTemplate:
    """A service being filled in; `scope` is what its own words in the topology may refer to."""

    def __init__(
        self,
        name: str,
        host: str,
        node: Node,
        place: Place,
        kinds: ServiceKinds,
        reader: Reader,
        parent: ServiceTemplate | None = None,
        called: str = "",
    ) -> None:
        self.name = name
        self.host = host
        self.node = node
        self.place = place
        self.kinds = kinds
        self.reader = reader
        self.parent = parent
        self.called = called
        self.runs_already = False
        """Whether its host exists, so that it only has to be found."""
        self.broken = False
        self.scope = Namespace("")
        self.kind = self._kind()
        self.options: Mapping[str, KindOption] = self.kind.options if self.kind else {}
        self.nested: dict[str, ServiceTemplate] = {}
        self._found: dict[tuple[str, str], Any] = {}
        self._busy: set[tuple[str, str]] = set()

    @property
    def problems(self) -> Problems:
        """Where mistakes are noted."""
        return self.reader.problems

    @property
    def path(self) -> str:
        """The name, below its parent's."""
        return f"{self.parent.path}.{self.called}" if self.parent else self.name

    def _kind(self) -> ServiceKind | None:
        stated = self.node.value.get("kind")
        if stated is None:
            return None
        if not isinstance(stated.value, str):
            self.problems.add(stated, f"kind: expected the name of a service kind, got {stated.shown()}")
            return None
        if stated.value not in self.kinds:
            message = (
                f"no service kind is called {stated.shown()}.{did_you_mean(str(stated.value), self.kinds)}"
            )
            self.problems.add(stated, message)
            return None
        return self.kinds.get(stated.value)

    def namespace(self) -> Namespace:
        """What others may say of it."""
        return Namespace(f"{self.path} has no value", self._own_values(), self._field_values())

    def _own_values(self) -> dict[str, Any]:
        values = {name: self._later("option", name) for name in self.options}
        host = host_namespace(self.host, address_of(self.host))
        own = {
            "name": constant(self.name),
            "host": constant(host),
            "address": constant(address_of(self.host)),
        }
        return own | values

    def _field_values(self) -> dict[str, Any]:
        values = {name: self._later("field", name) for name in SEEN_BY_OTHERS if self._stated(name)}
        if "command" in values:
            values["program"] = lambda: next(iter(self.find("field", "command")), "")
            values["arguments"] = lambda: self.find("field", "command")[1:]
        return values

    def _later(self, what: str, name: str) -> Any:
        return lambda: self.find(what, name)

    def find(self, what: str, name: str) -> Any:
        """The value of an option or a field, in template form; raises BadReference."""
        key = (what, name)
        if key in self._busy:
            msg = f"{self.path}'s {name} refers to itself"
            raise BadReference(msg)
        if key not in self._found:
            self._busy.add(key)
            try:
                self._found[key] = self._option(name) if what == "option" else self._field(name)
            finally:
                self._busy.discard(key)
        value = self._found[key]
        if isinstance(value, Broken):
            raise NotedAlready
        return value.namespace() if isinstance(value, ServiceTemplate) else value

    def _option(self, name: str) -> Any:
        option = self.options[name]
        if name in self.node.value:
            return self._given_option(name, option)
        if name == "port" and self.parent is not None and "port" in self.parent.options:
            return self.parent.find("option", "port")
        if self.kind is not None and name in self.kind.defaults:
            return self._from_kind(name, OPTION_TYPES[option.type], self.kind.defaults[name])
        if option.required:
            self.problems.add(self.place, f"{self.path} needs '{name}'{_because(option.about)}")
            return Broken()
        return {"list": (), "str": "", "url": ""}.get(option.type)

    def _given_option(self, name: str, option: KindOption) -> Any:
        node = self.node.value[name]
        if option.type == "service":
            return self._nested(name, node)
        before = len(self.problems.found)
        value = self.reader.value(OPTION_TYPES[option.type], self._expanded(node), name)
        return Broken() if value is None or len(self.problems.found) > before else value

    def _nested(self, name: str, node: Node) -> Any:
        if not node.is_mapping:
            self.problems.add(node, f"{name} is a service of its own: a mapping, got {node.shown()}")
            return Broken()
        given = node.value.get("name")
        before = len(self.problems.found)
        own_name = self.reader.value(str, self._expanded(given), "name") if given else f"{self.name}.{name}"
        rest = {key: item for key, item in node.value.items() if key != "name"}
        child = ServiceTemplate(
            str(own_name),
            self.host,
            Node(rest, node.place, node.keys),
            node.place,
            self.kinds,
            self.reader,
            self,
            name,
        )
        port = {"port": self._later("option", "port")} if "port" in self.options else {}
        child.scope = Namespace(self.scope.what, port, self.scope.all())
        self.nested[name] = child
        child.check()
        return Broken() if len(self.problems.found) > before else child

    def _expanded(self, node: Node) -> Node:
        return expand(node, self.scope, self.problems)

    def _stated(self, name: str) -> Node | None:
        """Where a field is stated: in the topology, else in the kind."""
        if name in self.node.value and name not in self.options:
            stated: Node = self.node.value[name]
            return stated
        return self._template(name)

    def _template(self, name: str) -> Node | None:
        return self.kind.template.get(name) if self.kind else None

    def _field(self, name: str) -> Any:
        given = self.node.value.get(name) if name not in self.options else None
        template = self._template(name)
        hint = FIELDS[name].hint
        if given is None:
            return self._from_kind(name, hint, template) if template else FIELDS[name].default
        before = len(self.problems.found)
        value = self.reader.value(hint, self._expanded(given), name)
        if len(self.problems.found) > before:
            return Broken()
        if template is not None and isinstance(value, Mapping):
            return {**self._from_kind(name, hint, template), **value}
        return value

    def _from_kind(self, name: str, hint: Any, node: Node) -> Any:
        """A value of the kind's file, filled in; mistakes stand at the service, and name the kind's line."""
        aside = Problems()
        scope = Namespace(
            f"the kind {self.kind.name if self.kind else ''} has no option",
            self._own_values(),
            self._field_values(),
            {"env": lambda: self.scope.get("env")},
        )
        filled = expand(node, scope, aside)
        value = Reader(aside, self.reader.names).value(hint, filled, name)
        for problem in aside.found:
            self.problems.add(self.place, f"{self.path}: {problem.message} ({problem.place})")
        broken = aside.found or (value is None and filled.value is not None)
        return Broken() if broken else value

    def check(self) -> None:
        """Note unknown keys, and find every option."""
        if self.node.value.get("kind") is not None and self.kind is None:
            return
        known = {"kind", *FIELDS, *self.options}
        owner = f"a {self.kind.name}" if self.kind else "a service without a kind"
        for key in self.node.value:
            if key not in known:
                self.problems.unknown_key(self.node.keys[key], key, known, owner)
        for name in self.options:
            self._quietly("option", name)

    def _quietly(self, what: str, name: str) -> Any:
        try:
            return self.find(what, name)
        except BadReference as error:
            self.broken = True
            if not isinstance(error, NotedAlready):
                self.problems.add(self.place, str(error))
            return None

    def spec(self) -> ServiceSpec | None:
        """The finished spec; None if anything about it is mistaken."""
        before = len(self.problems.found)
        if not self._usable():
            return None
        self.check()
        fields = {name: self._quietly("field", name) for name in FIELDS}
        needed = ("url",) if self.runs_already else ("command", "image")
        if not (any(map(self._stated, needed)) or self._mistaken(before)):
            lacks = "no url: nobody knows where it is" if self.runs_already else NOTHING_TO_START
            self.problems.add(self.place, f"{self.path} says {lacks}")
        if self._mistaken(before):
            return None
        return ServiceSpec(
            name=self.name,
            host=self.host,
            place=self.place,
            kind=self.kind.name if self.kind else "",
            options={name: self.plain_option(name) for name in self.options},
            **_as_spec(fields),
        )

    def _usable(self) -> bool:
        return self.kind is not None or "kind" not in self.node.value

    def _mistaken(self, before: int) -> bool:
        return self.broken or len(self.problems.found) > before

    def plain_option(self, name: str) -> Any:
        """An option's value; a nested service as a mapping."""
        value = self._found["option", name]
        if isinstance(value, ServiceTemplate):
            return {"name": value.name} | {inner: value.plain_option(inner) for inner in value.options}
        return value


def _because(about: str) -> str:
    return f": {about[0].lower()}{about[1:].rstrip('.')}" if about else ""


def _as_spec(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as ServiceSpec has them."""
    changed = {
        "env": {name: to_text(value) for name, value in fields["env"].items()},
        "resources": Resources(**asdict(fields["resources"])) if fields["resources"] else None,
        "ready": Ready(**asdict(fields["ready"])) if fields["ready"] else None,
        "served_by": ServedBy(**asdict(fields["served_by"])) if fields["served_by"] else None,
        "log": LogSource(**asdict(fields["log"])) if fields["log"] else None,
    }
    return {**fields, **changed}
