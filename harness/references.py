"""References in braces: `{router.url}`, `{server2.address}`, `{env.NAME}`, `{param.size}`.

Text goes through two hands. Loading (`expand`) replaces what is known before anything starts; a *template* is
left: text where only `{HOST.address}` stands for something and `{{`, `}}` are braces. Running (`resolve`,
`resolve_service`) replaces addresses and takes the doubled braces away.

`{port+1}` adds to a number; `{backend.command:json}` writes JSON, which for text and lists of it is TOML too.
Text that is exactly one reference becomes its value, of any type; in more text a list is joined by commas.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from harness.errors import MusterError, did_you_mean
from harness.model import ServiceSpec
from harness.yaml_places import Node, Problems

T = TypeVar("T")

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_REPEATS = re.compile(r"[0-9]+(,[0-9]*)?")
"""`x{2,3}` of a regular expression is no reference."""
_REFERENCE = re.compile(r"\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?:\+([0-9]{1,9}))?(:json)?\s*")


class BadReference(MusterError):
    """A reference that stands for nothing."""


class NotedAlready(BadReference):
    """A reference to something whose own mistake has been noted; there is nothing to add."""


class FromEnvironment(str):
    """Text of an environment variable; it may become a number where an option wants one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference, taken apart."""

    text: str
    path: tuple[str, ...]
    offset: int = 0
    as_json: bool = False


class Namespace:
    """Names and what they stand for, found when asked for; `what` begins the sentence about an unknown."""

    def __init__(self, what: str, *sources: Mapping[str, Callable[[], Any]]) -> None:
        self.what = what
        self._values = {name: value for source in reversed(sources) for name, value in source.items()}

    def names(self) -> Iterable[str]:
        """All names."""
        return self._values

    def all(self) -> Mapping[str, Callable[[], Any]]:
        """All names, with what finds their values."""
        return self._values

    def get(self, name: str) -> Any:
        """What a name stands for, in template form; raises BadReference."""
        if name not in self._values:
            msg = f"{self.what} '{name}'.{did_you_mean(name, self.names())}"
            raise BadReference(msg)
        return self._values[name]()


class Unstated(Namespace):
    """Names beside those of a mistaken topology: what is not here may stand in it."""

    def get(self, name: str) -> Any:
        """What a name stands for; an unknown one adds nothing to the mistakes that are noted."""
        if name not in self._values:
            raise NotedAlready
        return super().get(name)


class Environment(Namespace):
    """The environment's variables; their names are not listed in messages."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__("")
        self._environ = environ

    def get(self, name: str) -> Any:
        """A variable's text."""
        if name not in self._environ:
            msg = f"the environment variable {name} is not set"
            raise BadReference(msg)
        return escape(FromEnvironment(self._environ[name]))


def constant(value: T) -> Callable[[], T]:
    """A value as a Namespace holds it."""
    return lambda: value


def escape(value: Any) -> Any:
    """Put a plain value into template form: braces doubled."""
    if isinstance(value, str):
        return type(value)(value.replace("{", "{{").replace("}", "}}"))
    if isinstance(value, Mapping):
        return {escape(key): escape(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(escape(item) for item in value)
    return value


def parts_of(text: str) -> Iterator[str | Reference]:
    """A template's literal parts (doubled braces kept) and references; raises BadReference."""
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() > end:
            yield text[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            yield match[0]
        elif match[1] is None:
            msg = f"a lone '{match[0]}'; a brace that is no reference is written twice: '{match[0] * 2}'"
            raise BadReference(msg)
        elif _REPEATS.fullmatch(match[1]):
            yield f"{{{match[0]}}}"
        else:
            yield _reference(match[0], match[1])
    if end < len(text):
        yield text[end:]


def _reference(text: str, inner: str) -> Reference:
    match = _REFERENCE.fullmatch(inner)
    if match is None:
        msg = f"{text} is no reference; braces that are not meant as one are written twice: '{{{text}}}'"
        raise BadReference(msg)
    return Reference(text, tuple(match[1].split(".")), int(match[2] or 0), bool(match[3]))


def refers(text: str) -> bool:
    """Whether a text holds a reference, or braces that are none."""
    try:
        return any(isinstance(part, Reference) for part in parts_of(text))
    except BadReference:
        return True


def look_up(reference: Reference, scope: Namespace) -> Any:
    """What a reference stands for, in template form; raises BadReference."""
    value: Any = scope
    for name in reference.path:
        if isinstance(value, Namespace):
            value = value.get(name)
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            known = value if isinstance(value, Mapping) else ()
            msg = f"there is no '{name}' in it.{did_you_mean(name, known)}"
            raise BadReference(msg)
    if isinstance(value, Namespace):
        msg = f"it stands for several values; add one of: {', '.join(sorted(value.names()))}"
        raise BadReference(msg)
    if reference.offset:
        value = _plus(value, reference.offset)
    return to_json(value) if reference.as_json else value


def _plus(value: Any, offset: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value + offset
    msg = f"only a whole number can be added to, and it stands for '{value}'"
    raise BadReference(msg)


def to_json(value: Any) -> str:
    """A value in template form as JSON in template form."""
    if isinstance(value, Mapping):
        items = (f"{to_json(str(key))}: {to_json(item)}" for key, item in value.items())
        return "{{" + ", ".join(items) + "}}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def to_text(value: Any) -> str:
    """A value in template form as it stands within more text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, (list, tuple)):
        return ",".join(map(to_text, value))
    if value is None or isinstance(value, Mapping):
        msg = "it has no value" if value is None else "a mapping cannot stand within text; add ':json'"
        raise BadReference(msg)
    return str(value)


def expand_text(text: str, scope: Namespace) -> Any:
    """Replace the references of a text; a text that is one reference keeps its value's type."""
    if "{" not in text and "}" not in text:
        return text
    parts = list(parts_of(text))
    values = [_value(part, scope, whole=len(parts) == 1) for part in parts]
    return values[0] if len(parts) == 1 else "".join(values)


def _value(part: str | Reference, scope: Namespace, *, whole: bool) -> Any:
    if isinstance(part, str):
        return part
    try:
        value = look_up(part, scope)
        return value if whole else to_text(value)
    except NotedAlready:
        raise
    except BadReference as error:
        msg = f"unknown reference {part.text}: {error}" if part.text not in str(error) else str(error)
        raise BadReference(msg) from error


def expand(node: Node, scope: Namespace, problems: Problems) -> Node:
    """A node with the references in all its texts (and keys) replaced; mistakes are noted."""
    if isinstance(node.value, dict):
        values: dict[str, Node] = {}
        places = {}
        for key, item in node.value.items():
            name = str(_expanded(key, node.keys.get(key, item.place), scope, problems))
            values[name], places[name] = expand(item, scope, problems), node.keys.get(key, item.place)
        return Node(values, node.place, places)
    if isinstance(node.value, tuple):
        return Node(tuple(expand(item, scope, problems) for item in node.value), node.place)
    if isinstance(node.value, str):
        value = _expanded(node.value, node.place, scope, problems)
        return node if value == node.value else replace(to_node(value, node), stands_for=node.value)
    return node


def _expanded(text: str, place: Any, scope: Namespace, problems: Problems) -> Any:
    try:
        return expand_text(text, scope)
    except BadReference as error:
        if not isinstance(error, NotedAlready):
            problems.add(place, str(error))
        return Broken(escape(text))


class Broken(str):
    """Text whose references are mistaken; the mistake is noted, and nothing else is to be said about it."""

    __slots__ = ()


def to_node(value: Any, where: Node) -> Node:
    """A plain value as a node, every part of it at one place."""
    if isinstance(value, Mapping):
        values = {str(key): to_node(item, where) for key, item in value.items()}
        return Node(values, where.place, dict.fromkeys(values, where.place))
    if isinstance(value, (list, tuple)):
        return Node(tuple(to_node(item, where) for item in value), where.place)
    return Node(value, where.place)


class Scope(Namespace):
    """What is known when hosts have addresses."""

    @classmethod
    def of(cls, specs: Iterable[ServiceSpec], addresses: Mapping[str, str]) -> Scope:
        """The scope of a running deployment: its hosts and its (resolved) services."""
        hosts = {name: constant(host_namespace(name, escape(address))) for name, address in addresses.items()}
        services = {
            spec.name: constant(service_namespace(_escaped(spec), escape(addresses.get(spec.host, ""))))
            for spec in specs
        }
        return cls("nothing in the deployment is called", services, hosts)


def _escaped(spec: ServiceSpec) -> ServiceSpec:
    return dataclasses.replace(
        spec, url=escape(spec.url), options=escape(spec.options), command=escape(spec.command)
    )


def host_namespace(name: str, address: str) -> Namespace:
    """What can be said of a host."""
    return Namespace(f"host {name} has no value", {"name": constant(name), "address": constant(address)})


def service_namespace(spec: ServiceSpec, address: str | None = None) -> Namespace:
    """What can be said of a service whose spec is complete."""
    fields = {
        "name": spec.name,
        "host": host_namespace(spec.host, address_of(spec.host) if address is None else address),
        "address": address_of(spec.host) if address is None else address,
        "url": spec.url,
        "command": spec.command,
        "ports": spec.ports,
    }
    own = {name: constant(value) for name, value in spec.options.items()}
    return Namespace(f"{spec.name} has no value", own, {n: constant(v) for n, v in fields.items()})


def address_of(host: str) -> str:
    """The reference to a host's address, as templates hold it."""
    return f"{{{host}.address}}"


def resolve(value: T, scope: Namespace) -> T:
    """Rebuild a value with the references of all its texts replaced: containers and frozen dataclasses alike.

    Raises:
        BadReference: a reference stands for nothing; the loader lets none of these pass.

    """
    resolved: Any = value
    if isinstance(value, str):
        resolved = _unescaped(expand_text(value, scope))
    elif isinstance(value, Mapping):
        resolved = {resolve(key, scope): resolve(item, scope) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        resolved = type(value)(resolve(item, scope) for item in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        resolved = _rebuilt(value, scope)
    return resolved  # type: ignore[no-any-return]


def resolve_text(text: str) -> str:
    """A template without references as plain text; one with references stays as it is."""
    plain = text.replace("{{", "").replace("}}", "")
    return text if "{" in plain else text.replace("{{", "{").replace("}}", "}")


def _unescaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("{{", "{").replace("}}", "}")
    if isinstance(value, (list, tuple)):
        return type(value)(_unescaped(item) for item in value)
    return value


def _rebuilt(value: Any, scope: Namespace) -> Any:
    changes = {}
    for option in dataclasses.fields(value):
        if option.init and (new := resolve(old := getattr(value, option.name), scope)) != old:
            changes[option.name] = new
    return dataclasses.replace(value, **changes) if changes else value


def resolve_service(spec: ServiceSpec, addresses: Mapping[str, str]) -> ServiceSpec:
    """A service's spec with its hosts' addresses filled in."""
    return resolve(spec, Scope.of((), addresses))
