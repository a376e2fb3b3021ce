"""What a report shows, as frozen values: plain data that every format draws in its own way.

All times are seconds since the scenario's run began; `started` of a run and of a scenario are seconds since
the epoch. `reports.build.build_report` makes these values; `reports.json` writes them (docs/reports.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

FORMAT = 1
"""Version of `report.json`. 1: the first."""

NOT_RUN = "not-run"
"""A step that was to be judged and never was."""

NOT_SELECTED = "not-selected"
"""A step that was only performed, because others were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a timeline: when, who, what. `tone`: good, bad, fault or empty."""

    t: float
    source: str
    text: str
    tone: str = ""
    kind: str = ""
    n: int | None = None
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of time in which something was in one state."""

    state: str
    start: float
    end: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """One service and its states over time: starting, ready, paused, dead (or answering, silent)."""

    name: str
    host: str
    kind: str = ""
    url: str = ""
    command: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    states: tuple[Band, ...] = ()
    ready_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """One host, the stretches in which it was up, and its services."""

    name: str
    address: str
    up: tuple[Band, ...]
    services: tuple[ServiceReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReport:
    """One fault and its receipts; a time that is None was never reached."""

    id: str
    what: str
    target: str
    hits: tuple[str, ...]
    step: str
    requested: float
    proven: float | None = None
    healing: float | None = None
    healed: float | None = None
    ended: float = 0.0
    receipt: tuple[str, ...] = ()
    healed_receipt: tuple[str, ...] = ()
    unproven: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """A distribution of durations, in seconds."""

    count: int
    p50: float
    p90: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """Client traffic of one load."""

    id: str
    what: str
    url: str
    step: str
    started: float
    ended: float
    concurrency: int
    asked: int | None
    rate: float | None
    sent: int
    ok: int
    failed: int
    unknown: int
    took: Quantiles | None
    first_byte: Quantiles | None
    served_by: Mapping[str, int]
    statuses: Mapping[str, int]
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many requests one backend served; expected and interval are shares of 1, if stated."""

    name: str
    count: int
    share: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Who served how many, against what was expected; `p` is the exact test's p-value."""

    policy: str
    total: int
    shares: tuple[Share, ...]
    p: float | None = None
    alpha: float | None = None
    detect: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """A step with its verdict and what it rests on. `steps` are the steps inside it.

    `since` is where the clock of its limit began: with the step, or with the proof of the fault around it.
    """

    id: str
    anchor: str
    name: str
    path: tuple[str, ...]
    status: str
    message: str = ""
    does: str = ""
    asks: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    nodeid: str = ""
    selected: bool = True
    started: float | None = None
    since: float | None = None
    judged: float | None = None
    limit: float | None = None
    owner: str = ""
    again: str = ""
    details: tuple[str, ...] = ()
    evidence: tuple[Line, ...] = ()
    look_at: tuple[str, ...] = ()
    distribution: Distribution | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    loads: tuple[str, ...] = ()
    steps: tuple[StepReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """When a name or model was listed by a source; `ghost`: listed while down; `blind`: up but not listed."""

    name: str
    source: str
    view: str
    listed: tuple[Band, ...]
    ghost: tuple[Band, ...] = ()
    blind: tuple[Band, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests as columns of equal length; a column that has a table holds indices into it."""

    total: int
    tables: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """A service's log: its end, and lines around the first bad observation, beginning at `focus_line`."""

    service: str
    host: str
    file: str
    size: int
    tail: tuple[str, ...]
    focus: tuple[str, ...] = ()
    focus_line: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The verdict in one sentence, the word it begins with, and its parts."""

    word: str
    sentence: str
    what: str = ""
    where: str = ""
    when: float | None = None
    owner: str = ""
    again: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioReport:
    """One scenario's run; `directory` is where its files are, seen from the run's directory."""

    id: str
    name: str
    file: str
    about: str
    tags: tuple[str, ...]
    status: str
    cut_short: str
    headline: Headline
    counts: Mapping[str, int]
    started: float
    seconds: float
    hosts_kind: str
    why_hosts: str
    hosts: tuple[HostReport, ...]
    steps: tuple[StepReport, ...]
    faults: tuple[FaultReport, ...]
    loads: tuple[LoadReport, ...]
    visibility: tuple[Visibility, ...]
    timeline: tuple[Line, ...]
    timeline_left_out: int
    requests: Requests
    logs: tuple[LogReport, ...]
    environment: Mapping[str, str]
    params: Mapping[str, Any]
    directory: str
    at_least: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A whole run: its scenarios, and what is to be said of them together."""

    run: str
    directory: str
    status: str
    headline: Headline
    counts: Mapping[str, int]
    started: float
    seconds: float
    aborted: bool
    scenarios: tuple[ScenarioReport, ...]
    format: int = FORMAT


def every_step(steps: tuple[StepReport, ...]) -> list[StepReport]:
    """Steps in the file's order, those inside others included."""
    return [found for step in steps for found in (step, *every_step(step.steps))]


def as_json(value: Any) -> Any:
    """A report's value as JSON types."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, float):
        return round(value, 6)
    return value
