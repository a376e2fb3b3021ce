"""The geometry of the timeline: lanes with shapes; across in per cent of the run's time, down in pixels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from reports.moments import clock, lasted

if TYPE_CHECKING:
    from reports.model import Band, FaultReport, Requests, ScenarioReport, StepReport, Visibility

LANE = 24
THIN = 15
AXIS = 26
TRAFFIC = 96
CHECKS = "checks"
"""Steps below this name judge the whole run; a window of theirs would only cover the others."""

VIEW_LANES = 24
"""At most so many names of one source's view get a lane; those that were listed wrongly first."""

POINTS = 1200
"""Up to so many requests are drawn one by one; more are counted in cells."""

COLUMNS, ROWS = 200, 14


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing in a lane: its class, its beginning and width (per cent), its top and height (pixels)."""

    kind: str
    x: float
    width: float
    y: float
    height: float
    title: str = ""
    link: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the timeline."""

    label: str
    kind: str
    y: float
    height: float
    shapes: tuple[Shape, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole timeline; `curtains` are the faults, drawn behind all lanes."""

    height: float
    seconds: float
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    curtains: tuple[Shape, ...]


class _Scale:
    """Seconds to per cent."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(seconds, 0.001)

    def shape(
        self, kind: str, start: float, end: float, y: float, height: float, title: str = "", link: str = ""
    ) -> Shape:
        x = self.at(start)
        return Shape(kind, x, round(max(self.at(end) - x, 0.0), 3), y, height, title, link)

    def at(self, t: float) -> float:
        return round(100 * min(max(t, 0.0), self.seconds) / self.seconds, 3)


def chart_of(scenario: ScenarioReport) -> Chart:
    """The timeline of one scenario."""
    scale = _Scale(scenario.seconds)
    lanes: list[Lane] = []
    y = float(AXIS)
    for lane in _lanes(scenario, scale):
        lanes.append(replace(lane, y=y))
        y += lane.height
    return Chart(
        height=y,
        seconds=scale.seconds,
        lanes=tuple(lanes),
        ticks=tuple((scale.at(t), clock(t)[:5] + _fraction(t)) for t in ticks(scale.seconds)),
        curtains=tuple(_curtain(fault, scale, y) for fault in scenario.faults),
    )


def ticks(seconds: float, most: int = 8) -> Iterator[float]:
    """Round moments along the axis."""
    step = next((s for s in _STEPS if seconds / s <= most), _STEPS[-1])
    t = step
    while t < seconds * 0.98:
        yield t
        t += step


_STEPS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


def _fraction(t: float) -> str:
    return "" if abs(t - round(t)) < 1e-6 else f"{t % 1:.2f}"[1:].rstrip("0")


def _lanes(scenario: ScenarioReport, scale: _Scale) -> Iterator[Lane]:
    """Lanes whose tops are not yet known; shapes are placed within their lane."""
    yield from _step_lanes(scenario.steps, scale)
    if scenario.faults:
        shapes = tuple(shape for fault in scenario.faults for shape in _fault(fault, scale))
        yield Lane("faults", "faults", 0, LANE, shapes)
    if scenario.requests.total:
        shapes = tuple(requests_shapes(scenario.requests, scale.seconds))
        yield Lane("requests", "traffic", 0, TRAFFIC, shapes, title=_extent(scenario.requests))
    height = _service_height(sum(len(host.services) for host in scenario.hosts))
    for host in scenario.hosts:
        yield Lane(host.name, "host", 0, min(LANE, height + 4), title=host.address)
        for service in host.services:
            shapes = tuple(_band(band, scale, height / 4, height / 2) for band in service.states)
            yield Lane(service.name, "service", 0, height, shapes, title=service.url)
    yield from _view_lanes(scenario.visibility, scale)


def _service_height(services: int) -> float:
    """The more services there are, the lower are their lanes."""
    return next((height for most, height in ((24, LANE), (48, 17)) if services <= most), 12)


def _step_lanes(steps: Sequence[StepReport], scale: _Scale) -> Iterator[Lane]:
    depth, level = 0, [step for step in steps if step.path[0] != CHECKS]
    while level:
        shapes = [_step(step, scale) for step in level if step.started is not None]
        if shapes:
            yield Lane("" if depth else "steps", "steps", 0, LANE, tuple(shapes))
        depth, level = depth + 1, [inner for step in level for inner in step.steps]


def _step(step: StepReport, scale: _Scale) -> Shape:
    start = step.started or 0.0
    end = step.judged if step.judged is not None else scale.seconds
    title = (
        f"{step.name}\n{step.status}: {step.message}\n{clock(start)} to {clock(end)}, {lasted(end - start)}"
    )
    return scale.shape(f"window is-{step.status}", start, end, 4, LANE - 8, title=title, link=step.anchor)


def _fault(fault: FaultReport, scale: _Scale) -> Iterator[Shape]:
    name = f"{fault.what} {fault.target}"
    proven = fault.proven if fault.proven is not None else fault.ended
    asked = "requested, not proven" + (f": {fault.unproven}" if fault.unproven else "")
    yield scale.shape("fault-asked", fault.requested, proven, 8, LANE - 16, title=f"{name}\n{asked}")
    if fault.proven is None:
        return
    healing = fault.healing if fault.healing is not None else fault.ended
    receipt = "\n".join(fault.receipt)
    title = f"{name}\nproven {lasted(proven - fault.requested)} after its request\n{receipt}"
    yield scale.shape("fault-proven", proven, healing, 4, LANE - 8, title=title)
    healed = (
        "healed\n" + "\n".join(fault.healed_receipt) if fault.healed is not None else "never proven healed"
    )
    yield scale.shape("fault-healing", healing, fault.ended, 8, LANE - 16, title=f"{name}\n{healed}")


def _curtain(fault: FaultReport, scale: _Scale, height: float) -> Shape:
    return scale.shape("curtain", fault.requested, fault.ended, AXIS, height - AXIS)


def _band(band: Band, scale: _Scale, y: float, height: float) -> Shape:
    note = f"\n{band.note}" if band.note else ""
    title = f"{band.state} for {lasted(band.end - band.start)}, from {clock(band.start)}{note}"
    return scale.shape(f"state is-{band.state}", band.start, band.end, y, height, title=title)


def _view_lanes(rows: Sequence[Visibility], scale: _Scale) -> Iterator[Lane]:
    for (source, view), group in groupby(rows, key=lambda row: (row.source, row.view)):
        listed = sorted(group, key=lambda row: not (row.ghost or row.blind))
        rest = len(listed) - VIEW_LANES
        yield Lane(f"{source} lists", "host", 0, LANE, title=f"{view}, {rest} more" if rest > 0 else view)
        for row in sorted(listed[:VIEW_LANES], key=lambda row: row.name):
            shapes = [_band(band, scale, THIN / 2 - 2, 4) for band in row.listed]
            shapes += [_band(band, scale, THIN / 2 - 4, 8) for band in (*row.ghost, *row.blind)]
            yield Lane(row.name, "view", 0, THIN, tuple(shapes))


def _extent(requests: Requests) -> str:
    low, high = _range(requests.columns["took"])
    return f"{lasted(low)} to {lasted(high)}"


def _range(took: Sequence[float]) -> tuple[float, float]:
    positive = [t for t in took if t > 0] or [0.001]
    low, high = min(positive), max(positive)
    return low, max(high, low * 1.5)


def requests_shapes(requests: Requests, seconds: float) -> Iterator[Shape]:
    """Requests by when they ended and how long they took: as points, or counted in cells when many."""
    columns = requests.columns
    outcomes = requests.tables["outcome"]
    low, high = _range(columns["took"])
    span = math.log(high / low)
    places = [
        (100 * (started + took) / seconds, 1 - math.log(max(took, low) / low) / span, outcomes[outcome])
        for started, took, outcome in zip(
            columns["started"], columns["took"], columns["outcome"], strict=True
        )
    ]
    if len(places) <= POINTS:
        for (x, y, outcome), name in zip(places, columns["id"], strict=True):
            yield Shape(f"dot is-{outcome}", round(x, 3), 0, round(_down(y), 1), 0, title=str(name))
        return
    yield from _cells(places)


def _down(y: float) -> float:
    return 8 + y * (TRAFFIC - 16)


def _cells(places: Iterable[tuple[float, float, str]]) -> Iterator[Shape]:
    counted = Counter(
        (outcome, min(int(x / 100 * COLUMNS), COLUMNS - 1), min(int(y * ROWS), ROWS - 1))
        for x, y, outcome in places
    )
    most = max(counted.values(), default=1)
    width, height = 100 / COLUMNS, (TRAFFIC - 16) / ROWS
    # What did not succeed is drawn last and never faint: one failure among thousands has to be seen.
    for (outcome, column, row), count in sorted(counted.items(), key=lambda cell: (cell[0][0] != "ok", cell)):
        yield Shape(
            f"cell is-{outcome}",
            round(column * width, 3),
            width,
            round(8 + row * height, 1),
            round(height, 1),
            weight=round(0.15 + 0.85 * math.log1p(count) / math.log1p(most), 2) if outcome == "ok" else 1.0,
            title=f"{count} {outcome}",
        )
