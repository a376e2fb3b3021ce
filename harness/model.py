"""What a scenario says, as frozen values: Scenario, Topology, HostSpec, ServiceSpec, Step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """When a service counts as ready: exactly one of the conditions.

    `http`: a path or URL answers 2xx. `tcp`: a port accepts. `grpc`: grpc.health.v1 says SERVING on a port.
    `log`: a regular expression is found in the service's log. `exit`: it ended with that code.
    """

    http: str = ""
    tcp: int | None = None
    grpc: int | None = None
    log: str = ""
    exit: int | None = None
    within: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBy:
    """Where an answer says who served it: a header, or a pattern in the content (group 1, or all)."""

    header: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """How to read a service's log where the harness did not start it: exactly one of the four."""

    file: str = ""
    docker: str = ""
    ssh: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a service may use at most, where hosts can limit it: bytes, and cores."""

    memory: float | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One service of a topology, its kind's template already filled in.

    Strings may still hold references that are known only when hosts have addresses (`{host.address}`,
    `{registry.url}`); `harness.references.resolve_service` replaces them.
    """

    name: str
    host: str
    place: Place
    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    resources: Resources | None = None
    after: tuple[str, ...] = ()
    ready: Ready | None = None
    url: str = ""
    speaks: tuple[str, ...] = ()
    registers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    capabilities: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    answers_as: tuple[str, ...] = ()
    served_by: ServedBy | None = None
    control: str = ""
    """Path or URL of the endpoint that a stand-in is told through what to do wrong (fault `misbehave`)."""
    child: str = ""
    """Option that describes the child process (`backend`): `<service>.<child>` can be a fault's target."""
    stop_within: float = 5.0
    later: bool = False
    """Not started with the rest: a `start` step does."""
    log: LogSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """A host and its services; `address` is set only where hosts already exist."""

    name: str
    place: Place
    services: tuple[ServiceSpec, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Hosts and their services; `stated_by` says where that was stated.

    `serving_at_least`: how many services must serve models, where the names alone do not say it.
    """

    hosts: tuple[HostSpec, ...]
    stated_by: str = ""
    serving_at_least: int = 0

    @property
    def services(self) -> tuple[ServiceSpec, ...]:
        """All services, in the file's order."""
        return tuple(service for host in self.hosts for service in host.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """One check and when it is judged.

    `within` seconds: becomes true in time. `hold` seconds (`for:` in YAML): true now and all the while.
    `never`: at no moment of the window does the check hold. None of these: judged once.
    """

    check: Any
    place: Place
    within: float | None = None
    hold: float | None = None
    never: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing done (`action`, its role `does`: load, fault, start, stop, call, wait), expected, or both.

    `id` is unique in the scenario; `path` holds the names from the top. An empty `each` leaves one step whose
    `nothing` says why it has nothing to judge. `presumes` names an earlier step without which this one says
    nothing: where that one is not applicable, this one is not either. A `required` step that is not a pass
    ends
    the scenario.
    """

    id: str
    path: tuple[str, ...]
    place: Place
    does: str = ""
    action: Any = None
    expects: tuple[Expect, ...] = ()
    steps: tuple[Step, ...] = ()
    limit: float = 60.0
    nothing: str = ""
    presumes: str = ""
    required: bool = False

    @property
    def name(self) -> str:
        """The step's own name."""
        return self.path[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A topology, steps, and checks on the whole history.

    `checks` are steps too (path `("checks", kind)`), judged at the end. `params` is this scenario's
    combination.
    """

    name: str
    file: str
    id: str
    topology: Topology
    steps: tuple[Step, ...]
    checks: tuple[Step, ...] = ()
    about: str = ""
    tags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    at_least: int | None = None
    limit: float = 600.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Name -> value of what must not be written anywhere."""
