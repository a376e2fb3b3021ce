"""Writes stored runs for tests: a history made of given moments, as if a run had recorded it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.artifacts import Manifest, PlannedStep, ScenarioDirectory, write_json
from harness.events import Event, Seen, StepJudged, StepStarted
from harness.history import Record, record_to_line

BEGAN = 1_763_676_603.0
"""Wall time at which every made run begins: 2025-11-20 22:10:03 UTC."""


def at_wall(t: float) -> str:
    """A log line's time stamp."""
    return datetime.fromtimestamp(BEGAN + t, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass
class Tape:
    """A history in the making: `at` moves time on, and what is watched is looked at on the way."""

    every: float = 0.5
    t: float = 0.0
    step: str = ""
    records: list[Record] = field(default_factory=list)
    views: dict[tuple[str, str], Any] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    random: random.Random = field(default_factory=lambda: random.Random(7))
    _shown: dict[tuple[str, str], Any] = field(default_factory=dict)
    _next_look: float = 0.0

    def at(self, t: float) -> Tape:
        """Move on to `t`, with one look at every view each `every` seconds."""
        while self._next_look and self._next_look < t:
            self.t = self._next_look
            for source, view in self.views:
                self._look(source, view)
            self._next_look += self.every
        self.t = max(self.t, t)
        return self

    def watch(self) -> None:
        """From here on, look at `views`."""
        self._next_look = self.t + 0.01

    def add(self, event: Event) -> int:
        """Record an event now; its number."""
        n = len(self.records)
        self.records.append(Record(n, self.t, BEGAN + self.t, self.step, event))
        return n

    def _look(self, source: str, view: str) -> None:
        value = self.views[source, view]
        if value is None:
            self.add(Seen(source=source, view=view, ok=False, took=0.001, error="connection refused"))
        elif self._shown.get((source, view)) == value:
            self.add(Seen(source=source, view=view, ok=True, took=0.002, same=True))
        else:
            self._shown[source, view] = json.loads(json.dumps(value))
            self.add(Seen(source=source, view=view, ok=True, took=0.002, value=self._shown[source, view]))

    def last_look(self, source: str, view: str) -> int:
        """The number of the last look at a view."""
        return next(
            r.n
            for r in reversed(self.records)
            if isinstance(r.event, Seen) and (r.event.source, r.event.view) == (source, view)
        )

    def log(self, place: str, text: str, level: str = "INFO") -> None:
        """A line in `host/service`'s log, now."""
        name = place.rpartition("/")[2]
        self.logs.setdefault(place, []).append(f"{at_wall(self.t)} {level} {name}: {text}")

    def begin(self, step: PlannedStep) -> None:
        """A step begins."""
        self.step = step.id
        self.add(StepStarted(path=step.path))

    def judge(
        self, step: PlannedStep, status: str, message: str, *, since: float | None = None, **more: Any
    ) -> None:
        """A step is judged now."""
        self.step = step.id
        began = next(r.t for r in self.records if r.step == step.id and isinstance(r.event, StepStarted))
        again = f'pytest "{step.nodeid}"' if status in {"fail", "unknown"} else ""
        self.add(
            StepJudged(
                path=step.path,
                status=status,
                message=message,
                again=again,
                started=began if since is None else since,
                judged=self.t,
                **more,
            )
        )


def store(
    directory: Path,
    manifest: Manifest,
    records: Iterable[Record],
    logs: Mapping[str, Iterable[str]],
    result: Mapping[str, Any] | None,
    cut_off: str = "",
) -> None:
    """Write a scenario's directory; without a result the run was cut short, `cut_off` is its half-written line."""
    place = ScenarioDirectory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(place.manifest, manifest.to_json())
    with place.history.open("w", encoding="utf-8") as out:
        out.writelines(record_to_line(record) + "\n" for record in records)
        out.write(cut_off)
    for name, lines in logs.items():
        host, _, service = name.partition("/")
        place.log(host, service).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    place.result.unlink(missing_ok=True)
    if result is not None:
        write_json(place.result, result)
