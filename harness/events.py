"""The vocabulary of a history: everything that can be recorded about a run.

Events are frozen values of JSON types. `t`-like fields are seconds since the run began, unless a field says
otherwise. A record in `history.jsonl` is one line: `{"n", "t", "at", "step", "kind", "data"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

FORMAT = 1
"""Version of the history's format; raised when an old reader would misread a new file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; subclasses state their `kind` and their fields."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """The run exists: its id, its scenario and the kind of hosts it runs on."""

    kind: ClassVar[str] = "run.started"
    run: str
    scenario: str
    hosts_kind: str
    format: int = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run is over and torn down; `cut_short` says why if it did not reach its end."""

    kind: ClassVar[str] = "run.finished"
    status: str
    cut_short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """A sentence for the reader of the timeline."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUp(Event):
    """A host has its address."""

    kind: ClassVar[str] = "host.up"
    host: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDown(Event):
    """A host was taken away by the harness."""

    kind: ClassVar[str] = "host.down"
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStarting(Event):
    """A service was started; not ready yet."""

    kind: ClassVar[str] = "service.starting"
    service: str
    host: str
    command: tuple[str, ...] = ()
    pid: int | None = None
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReady(Event):
    """A service's readiness condition held; `after` seconds from its start, `by` says which condition."""

    kind: ClassVar[str] = "service.ready"
    service: str
    host: str
    after: float
    by: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceExited(Event):
    """A service's process ended. `expected`: the harness ended it (tear-down or fault)."""

    kind: ClassVar[str] = "service.exited"
    service: str
    host: str
    code: int | None = None
    signal: str = ""
    expected: bool = False
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step began; `Record.step` is its id, `path` its names from the top."""

    kind: ClassVar[str] = "step.started"
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepJudged(Event):
    """A step's verdict. `started` and `judged` bound the window it was judged on; `limit` is its `within`."""

    kind: ClassVar[str] = "step.judged"
    path: tuple[str, ...]
    status: str
    message: str
    started: float
    judged: float
    limit: float | None = None
    evidence: tuple[int, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    again: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRequested(Event):
    """A fault is about to be done; `fault` is an id within the run."""

    kind: ClassVar[str] = "fault.requested"
    fault: str
    what: str
    target: str
    hits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultProven(Event):
    """The fault took effect, `after` seconds from its request; `receipt` says how that was seen."""

    kind: ClassVar[str] = "fault.proven"
    fault: str
    what: str
    target: str
    after: float
    receipt: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultHealing(Event):
    """The fault's end has begun."""

    kind: ClassVar[str] = "fault.healing"
    fault: str
    what: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultHealed(Event):
    """The fault is proven gone, `after` seconds from the start of healing."""

    kind: ClassVar[str] = "fault.healed"
    fault: str
    what: str
    target: str
    after: float
    receipt: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultUnproven(Event):
    """No receipt: the fault (phase `effect`) or its end (phase `healing`) could not be proven."""

    kind: ClassVar[str] = "fault.unproven"
    fault: str
    what: str
    target: str
    phase: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStarted(Event):
    """Client traffic began; `load` is an id within the run."""

    kind: ClassVar[str] = "load.started"
    load: str
    what: str
    url: str
    requests: int | None = None
    concurrency: int = 1
    rate: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFinished(Event):
    """Client traffic ended. `unknown` counts requests whose outcome nobody saw."""

    kind: ClassVar[str] = "load.finished"
    load: str
    sent: int
    ok: int
    failed: int
    unknown: int = 0


CUT_OFF = "still under way when its load ended"
"""The `error` of a request whose outcome nobody waited for."""

LEFT = "the client left, as it was told to"
"""The `error` of a request that its client gave up on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDone(Event):
    """One request of a load, recorded when its outcome is known.

    `outcome`: ok | error | unknown. `claims` are the identity headers seen on the answer, by header name in
    lower case; `served_by` is the name taken from them (or from the content). `first_byte` and `ended` are
    seconds since the run began. `chunks`, `first_chunk` (when it came) and `complete` belong to streams.
    `session` is what requests that belong together have in common. `query` holds the conditions of a question
    to a registry: then `served_by` is the replica that it named, `content` where that is reached.
    """

    kind: ClassVar[str] = "request"
    load: str
    id: str
    method: str
    url: str
    outcome: str
    started: float
    ended: float
    first_byte: float | None = None
    model: str = ""
    status: int | None = None
    stream: bool = False
    chunks: int = 0
    first_chunk: float | None = None
    complete: bool = True
    session: str = ""
    answered_model: str = ""
    content: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    served_by: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred(Event):
    """What an inference call was sent and answered; its RequestDone has the same `id`.

    `code` is the gRPC status' name, `error` its text or what is wrong with the answer. The inputs follow from
    `number`, `seed`, `inputs` and `sizes` (`harness.tensor_recipes.made`). `answers` holds the outputs by
    name, one mapping for each answer of a stream, as `harness.tensors.keep` makes them. `tries` are the
    endpoints that failed before, and how.
    """

    kind: ClassVar[str] = "inferred"
    load: str
    id: str
    code: str
    number: int
    seed: int
    inputs: Mapping[str, str]
    sizes: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[Mapping[str, Any], ...] = ()
    tries: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined(Event):
    """What a question to a fleet of nodes was answered; its RequestDone has the same `id`.

    `plan` and `count` say how many answers were enough, `answered` whether there is a combined one: `text`,
    after `seconds`. `nodes` says what became of each node's part: `{client_id, model, outcome, reason,
    seconds, text}`.
    """

    kind: ClassVar[str] = "combined"
    load: str
    id: str
    prompt: str
    plan: str
    count: int = 0
    answered: bool = False
    text: str = ""
    method: str = ""
    seconds: float = 0.0
    partial: bool = False
    nodes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Event):
    """One observation of a service by an observer.

    `view` names what was looked at: `services` (a registry's entries), `models` (a model list), `health`, or
    `http:<url>`. `value` is the view's JSON value; it is left out (`same=True`) when it equals the last one
    recorded for this source and view. Shapes of values: see `harness.protocols.base`.
    """

    kind: ClassVar[str] = "seen"
    source: str
    view: str
    ok: bool
    took: float
    same: bool = False
    value: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called(Event):
    """The answer (or error) of one `call`."""

    kind: ClassVar[str] = "called"
    method: str
    url: str
    took: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    json: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLogged(Event):
    """A request's id stands in a service's log, at `line` (from 1) of the file `log`."""

    kind: ClassVar[str] = "log.request"
    service: str
    request: str
    log: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead(Event):
    """A service's log was read to its present end (`lines`), or could not be read (`error`)."""

    kind: ClassVar[str] = "log.read"
    service: str
    log: str
    lines: int = 0
    error: str = ""


def _all_events(base: type[Event] = Event) -> dict[str, type[Event]]:
    return {cls.kind: cls for cls in base.__subclasses__()}


EVENTS: Mapping[str, type[Event]] = _all_events()
_TUPLES = {
    cls: tuple(f.name for f in fields(cls) if str(f.type).startswith("tuple")) for cls in EVENTS.values()
}


def event_to_json(event: Event) -> dict[str, Any]:
    """The event's fields; those that hold their default are left out."""
    data = {}
    for f in fields(event):
        value = getattr(event, f.name)
        if value not in (f.default, {}):
            data[f.name] = value
    return data


def event_from_json(kind: str, data: Mapping[str, Any]) -> Event:
    """The inverse of `event_to_json`; an unknown kind is a KeyError."""
    cls = EVENTS[kind]
    lists = {name: tuple(data[name]) for name in _TUPLES[cls] if name in data}
    return cls(**{**data, **lists})
