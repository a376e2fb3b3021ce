"""The steps of a scenario as a tree: what was planned, joined with what was judged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.events import (
    FaultHealed,
    FaultProven,
    FaultUnproven,
    Seen,
    ServiceExited,
    StepJudged,
    StepStarted,
)
from harness.history import of
from harness.verdict import Status
from reports.distribution import distribution_of
from reports.model import NOT_RUN, NOT_SELECTED, Line, StepReport
from reports.moments import clock, lasted

if TYPE_CHECKING:
    from harness.artifacts import PlannedStep, ScenarioRun
    from harness.history import Record
    from reports.model import FaultReport, LoadReport, LogReport
    from reports.story import Story

Path = tuple[str, ...]

LINES = 14
"""At most so many lines of evidence stand below a step."""

_BUG = re.compile(r"Traceback \(most recent|please report it|muster failed")
_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")
_DONE = "done"
"""What an action's verdict says when nothing was expected of it."""

_TOLD = re.compile(r"\d\d+:\d\d\.\d{3} |\.\.\. \d+ more")
"""Details that tell records, which the evidence tells as well."""


def slug(text: str) -> str:
    """A text as part of an anchor: `server 2 loses its cable` -> `server-2-loses-its-cable`."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-") or "x"


class Steps:
    """Builds the tree; holds what its parts share."""

    def __init__(
        self,
        run: ScenarioRun,
        story: Story,
        faults: Sequence[FaultReport],
        loads: Sequence[LoadReport],
        logs: Sequence[LogReport],
    ) -> None:
        self._run = run
        self._story = story
        self._faults = faults
        self._loads = loads
        self._logs = {log.service: log for log in logs}
        self._by_number = {record.n: record for record in run.records}
        self._judged = {event.path: (record, event) for record, event in of(run.records, StepJudged)}
        self._began = {event.path: record.t for record, event in of(run.records, StepStarted)}

    def tree(self) -> tuple[StepReport, ...]:
        """The outermost steps, each with those inside it."""
        planned = {step.path: step for step in self._run.manifest.steps}
        inside: dict[Path, list[PlannedStep]] = {}
        for step in planned.values():
            parent = next(
                (step.path[:n] for n in range(len(step.path) - 1, 0, -1) if step.path[:n] in planned), ()
            )
            inside.setdefault(parent, []).append(step)
        return self._branch((), inside)

    def _branch(self, parent: Path, inside: Mapping[Path, Sequence[PlannedStep]]) -> tuple[StepReport, ...]:
        return tuple(self._step(step, self._branch(step.path, inside)) for step in inside.get(parent, ()))

    def _step(self, planned: PlannedStep, steps: tuple[StepReport, ...]) -> StepReport:
        known: dict[str, Any] = {
            "id": planned.id,
            "anchor": "/".join(map(slug, (self._run.manifest.id, *planned.path))),
            "name": planned.path[-1],
            "path": planned.path,
            "does": self._does(planned),
            "asks": tuple(
                _CAMEL.sub("_", ask).lower() if ask.isidentifier() else ask for ask in planned.asks
            ),
            "file": planned.file,
            "line": planned.line,
            "nodeid": planned.nodeid,
            "selected": planned.selected,
            "loads": tuple(load.id for load in self._loads if load.step == planned.id),
            "steps": steps,
        }
        if planned.path not in self._judged:
            return StepReport(
                **known,
                status=NOT_RUN if planned.selected else NOT_SELECTED,
                message=self._why_not(planned) if planned.selected else "only performed, not judged",
                started=self._began.get(planned.path),
            )
        record, event = self._judged[planned.path]
        since = self._since(planned, event)
        evidence = self._evidence(planned, event, since)
        return StepReport(
            **known,
            status=event.status if planned.selected else NOT_SELECTED,
            message=self._receipts(planned.id) if event.message == _DONE else event.message,
            started=event.started,
            since=since,
            judged=event.judged,
            limit=event.limit,
            owner=owner_of(event),
            again=event.again,
            details=tuple(text for text in event.details if not _TOLD.match(text)),
            evidence=evidence,
            look_at=self._look_at(record, event, evidence) if event.status in {"fail", "unknown"} else (),
            distribution=distribution_of(event.numbers),
            numbers=event.numbers,
        )

    def _does(self, planned: PlannedStep) -> str:
        """What it did, with the words of the fault or load itself where it came to that."""
        told = [f"{fault.what} {fault.target}" for fault in self._faults if fault.step == planned.id]
        told += [load.what for load in self._loads if load.step == planned.id]
        return ", ".join(dict.fromkeys(told)) or planned.does

    def _receipts(self, step: str) -> str:
        own = [fault for fault in self._faults if fault.step == step and fault.proven is not None]
        told = [
            f"proven after {lasted((fault.proven or 0) - fault.requested)}"
            + (f", healed at {clock(fault.healed)}" if fault.healed is not None else "")
            for fault in own
        ]
        return "; ".join(told) or _DONE

    def _why_not(self, planned: PlannedStep) -> str:
        if planned.path in self._began:
            return "it had begun when the run ended"
        return "it never ran" if self._run.result is None else "it never ran: the run ended before it"

    def _evidence(self, planned: PlannedStep, event: StepJudged, since: float) -> tuple[Line, ...]:
        """The records the verdict names, and the faults and deaths around them."""
        named = [self._by_number[n] for n in event.evidence if n in self._by_number]
        half = LINES // 2
        chosen = {
            r.n: r for r in (named if len(named) <= LINES - 4 else [*named[:half], *named[-(half - 4) :]])
        }
        own = {fault.id for fault in self._faults if self._surrounds(fault, planned)}
        views = {(r.event.source, r.event.view) for r in named if isinstance(r.event, Seen)}
        for record in self._run.records:
            if record.t <= event.judged and self._matters(record, since, own, views):
                chosen[record.n] = record
        lines = [self._story.line(record, event.message) for record in chosen.values()]
        return tuple(sorted(lines, key=lambda line: line.t)[-LINES:])

    def _since(self, planned: PlannedStep, event: StepJudged) -> float:
        """An expectation alone inside a fault is judged on what was seen since the fault was proven."""
        around = [f for f in self._faults if self._surrounds(f, planned) and f.step != planned.id]
        proven = [f.proven for f in around if f.proven is not None and f.proven <= event.started]
        return max(proven) if proven and not planned.does else event.started

    def _surrounds(self, fault: FaultReport, planned: PlannedStep) -> bool:
        owner = next((s.path for s in self._run.manifest.steps if s.id == fault.step), ())
        return bool(owner) and planned.path[: len(owner)] == owner

    def _matters(self, record: Record, since: float, own: set[str], views: set[tuple[str, str]]) -> bool:
        """Faults around the step; deaths, and changes of the views it rests on, in its window."""
        event = record.event
        match event:
            case FaultProven() | FaultHealed() | FaultUnproven():
                return event.fault in own or record.t > since
            case ServiceExited():
                return record.t >= since and not event.expected
            case Seen():
                return record.t >= since and (event.source, event.view) in views and self._story.tells(record)
            case _:
                return False

    def _look_at(self, record: Record, event: StepJudged, evidence: Sequence[Line]) -> tuple[str, ...]:
        """Log files of the services that the evidence or the message names."""
        facts = self._run.manifest.facts
        words = re.findall(r"[\w.-]+", event.message)
        owners = [owner.name for owner in map(facts.owner, words) if owner is not None]
        named = [name for name in (*(line.source for line in evidence), *owners) if name in self._logs]
        logs = [self._logs[name] for name in dict.fromkeys(named)][:3]
        near = self._first_bad() is record
        return tuple(f"{log.file}:{log.focus_line}" if near and log.focus_line else log.file for log in logs)

    def _first_bad(self) -> Record | None:
        found = first_bad(self._run)
        return found[0] if found else None


def owner_of(event: StepJudged) -> str:
    """Whose move it likely is after this verdict: product, infrastructure, harness, or nobody's (empty)."""
    if event.status == Status.FAIL:
        return "product"
    if event.status != Status.UNKNOWN:
        return ""
    return blamed("\n".join((event.message, *event.details)))


def blamed(text: str) -> str:
    """Whose move it is when nothing was judged: muster's if the text tells of a bug, else the machine's."""
    return "harness" if _BUG.search(text) else "infrastructure"


def first_bad(run: ScenarioRun) -> tuple[Record, float] | None:
    """The verdict to look at first (a failure before an unknown), and the wall time of its first evidence."""
    selected = {step.path for step in run.manifest.steps if step.selected}
    for status in (Status.FAIL, Status.UNKNOWN):
        for record, event in of(run.records, StepJudged):
            if event.status == status and event.path in selected:
                seen = [r.at for r in run.records if r.n in event.evidence and r.t >= event.started]
                return record, min(seen, default=record.at)
    return None
