"""Service kinds: templates of a service's fields, in `kinds/*.yaml` beside the scenarios. Data, not code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.errors import did_you_mean
from harness.kind_options import Reader, options_of
from harness.options import ServiceName
from harness.quantities import Duration, Size
from harness.yaml_places import Node, Problems, read_yaml

KIND_KEYS = ("kind", "about", "options")
SHIPPED = Path(__file__).resolve().parent.parent / "scenarios" / "kinds"
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

Port = Annotated[int, Field(ge=1, le=65535)]
Scalar = str | int | float | bool


def _words(value: Any) -> Any:
    """A command as a list of words; a line of text is split as a shell splits it, numbers become text."""
    if isinstance(value, str):
        value = shlex.split(value)
    if not isinstance(value, list):
        return value
    numbers = (int, float)
    return tuple(str(v) if isinstance(v, numbers) and not isinstance(v, bool) else v for v in value)


_WORD = {"anyOf": [{"type": "string"}, {"type": "number"}]}
Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_words),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": _WORD}]}),
]

OPTION_TYPES: Mapping[str, Any] = {
    "port": Port,
    "int": int,
    "str": str,
    "url": str,
    "bool": bool,
    "duration": Duration,
    "list": tuple[str, ...],
    "objects": tuple[Mapping[str, Any], ...],
    "service": Mapping[str, Any],
}
"""What `type:` of an option may say; `service` is a nested service, described as one in a topology."""


@dataclass(frozen=True, kw_only=True)
class ReadyFields:
    """When a service counts as ready: exactly one of http, tcp, grpc, log, exit."""

    http: str = ""
    """A path or URL that answers 2xx."""
    tcp: Port | None = None
    """A port that accepts a connection."""
    grpc: Port | None = None
    """A port where grpc.health.v1 says SERVING."""
    log: str = ""
    """A regular expression that the service's log holds."""
    exit: int | None = None
    """The exit code it ends with."""
    within: Duration = 15.0
    """How long that may take."""

    def __post_init__(self) -> None:
        stated = [n for n in ("http", "tcp", "grpc", "log", "exit") if getattr(self, n) not in ("", None)]
        if len(stated) != 1:
            said = " and ".join(stated) or "none"
            msg = f"exactly one of http, tcp, grpc, log, exit says when it is ready; here: {said}"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class ResourceFields:
    """What a service may use at most."""

    memory: Annotated[Size, Field(ge=6 * 2**20)] | None = None
    """Memory, as 512M; who needs more is killed. 6M is the least that engines take."""
    cpus: Annotated[float, Field(gt=0)] | None = None
    """Cores, as 1 or 0.5; who needs more waits."""


@dataclass(frozen=True, kw_only=True)
class ServedByFields:
    """Where an answer says who served it."""

    header: str = ""
    """The response header with the name."""
    content: str = ""
    """A regular expression for the content; its first group is the name."""


@dataclass(frozen=True, kw_only=True)
class LogFields:
    """How to read the log of a service that the harness did not start: exactly one of the four."""

    file: str = ""
    """A file on this machine."""
    docker: str = ""
    """A container whose `docker logs` are read."""
    ssh: str = ""
    """A command that prints the log, run by ssh: `host command`."""
    url: str = ""
    """A URL that answers with the log."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.file, self.docker, self.ssh, self.url))) != 1:
            msg = "exactly one of file, docker, ssh, url says where the log is"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class ServiceFields:
    """What can be said of a service, in a topology or as a kind's template."""

    command: Command = ()
    """The program and its arguments; {host.address} is where it has to listen."""
    image: str = ""
    """The container image it runs in, where hosts are containers."""
    env: Mapping[str, Scalar] = field(default_factory=dict)
    """Environment variables."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files to write before it starts: path in its working folder -> content."""
    ports: tuple[Port, ...] = ()
    """Every port it listens on."""
    resources: ResourceFields | None = None
    """What it may use at most; docker hosts see to that, others note in the history that they do not."""
    after: tuple[ServiceName, ...] = ()
    """Services that must be ready before it starts."""
    ready: ReadyFields | None = None
    """When it counts as ready."""
    url: str = ""
    """Where it is spoken to."""
    speaks: tuple[str, ...] = ()
    """The protocols it speaks."""
    registers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Every name under which it appears in a registry -> the models offered there."""
    capabilities: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    """Names under which it appears in a registry of replicas -> what it can do there, as objects."""
    answers_as: tuple[str, ...] = ()
    """The names it, or its child, gives as who served a request."""
    served_by: ServedByFields | None = None
    """Where an answer says who served it."""
    control: str = ""
    """A path or URL where it is told to misbehave: GET shows how it behaves as JSON, POST changes that."""
    child: str = ""
    """The option that describes its child process."""
    stop_within: Duration = 5.0
    """How long it may take to stop."""
    later: bool = False
    """It is not started with the rest; a `start` step brings it up."""
    log: LogFields | None = None
    """Where its log is, if it already runs."""


@dataclass(frozen=True, kw_only=True)
class KindOption:
    """An option of a service kind."""

    type: str
    """What it takes: port, int, str, url, bool, duration, list, objects, or service (a nested one)."""
    default: Any = None
    """What it is when it is not stated; without one (and not required) it is empty."""
    required: bool = False
    """Whether it must be stated."""
    about: str = ""
    """What it is for."""

    def __post_init__(self) -> None:
        if self.type not in OPTION_TYPES:
            msg = f"no type is called '{self.type}'.{did_you_mean(self.type, OPTION_TYPES)}"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class ServiceKind:
    """A template: options, and the fields of a service with references to them."""

    name: str
    about: str
    options: Mapping[str, KindOption]
    defaults: Mapping[str, Node]
    template: Mapping[str, Node]
    node: Node


class ServiceKinds:
    """The kinds that a file can use: the shipped ones, and those in `kinds/` folders beside it and above."""

    def __init__(self, starts: Iterable[Path], problems: Problems) -> None:
        self._problems = problems
        self._files = {
            file.stem: file for folder in _folders(starts) for file in sorted(folder.glob("*.yaml"))
        }
        self._read: dict[str, ServiceKind | None] = {}

    def __iter__(self) -> Any:
        return iter(sorted(self._files))

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def get(self, name: str) -> ServiceKind | None:
        """The kind with that name; None if its file is mistaken, which is noted once."""
        if name not in self._read:
            self._read[name] = read_kind(self._files[name], self._problems)
        return self._read[name]


def _folders(starts: Iterable[Path]) -> list[Path]:
    """Folders with kinds; a later one's kinds take the place of an earlier one's."""
    above = [folder / "kinds" for start in starts for folder in reversed((start, *start.parents))]
    return [folder for folder in dict.fromkeys((SHIPPED, *above)) if folder.is_dir()]


def read_kind(path: Path, problems: Problems) -> ServiceKind | None:
    """Read one kind's file."""
    before = len(problems.found)
    node = read_yaml(path, problems)
    if node is None:
        return None
    if not node.is_mapping:
        problems.add(node, f"a kind is a mapping, got {node.shown()}")
        return None
    fields = {option.key for option in options_of(ServiceFields)}
    for key in node.value:
        if key not in fields | set(KIND_KEYS):
            problems.unknown_key(node.keys[key], key, fields | set(KIND_KEYS), "a kind")
    stated = node.value.get("kind")
    if stated is None or stated.value != path.stem:
        problems.add(stated or node, f"kind: must be '{path.stem}', as its file is called")
    options = node.value.get("options", Node({}, node.place))
    read = _read_options(options, problems)
    if len(problems.found) > before:
        return None
    about = node.value.get("about")
    return ServiceKind(
        name=path.stem,
        about=" ".join(str(about.value or "").split()) if about else "",
        options=read,
        defaults={name: o.value["default"] for name, o in options.value.items() if "default" in o.value},
        template={key: item for key, item in node.value.items() if key in fields},
        node=node,
    )


def _read_options(options: Node, problems: Problems) -> dict[str, KindOption]:
    if not options.is_mapping:
        problems.add(options, f"options: expected a mapping from names to types, got {options.shown()}")
        return {}
    reader = Reader(problems, lambda _: None)
    found: dict[str, KindOption] = {}
    for name, node in options.value.items():
        option = reader.from_mapping(KindOption, node, f"option '{name}'")
        if option is not None:
            found[name] = option
    return found
