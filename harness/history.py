"""What happened: an append-only list of records, on disk as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from harness.errors import EnvironmentFailure
from harness.events import Event, event_from_json, event_to_json

if TYPE_CHECKING:
    from harness.clock import Clock

E = TypeVar("E", bound=Event)

current_step: ContextVar[str] = ContextVar("current_step", default="")
"""Id of the step on whose behalf events are being recorded; empty outside of steps."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event with its number (from 0), its time in seconds since the run began, and the wall clock."""

    n: int
    t: float
    at: float
    step: str
    event: Event


def record_to_line(record: Record) -> str:
    """One line of `history.jsonl`, without the newline."""
    head = {"n": record.n, "t": record.t, "at": round(record.at, 6), "step": record.step}
    body = {"kind": record.event.kind, "data": event_to_json(record.event)}
    return json.dumps(head | body, separators=(",", ":"), ensure_ascii=False, default=str)


def record_from_line(line: str) -> Record:
    """The inverse of `record_to_line`; ValueError or KeyError for anything else."""
    raw = json.loads(line)
    return Record(raw["n"], raw["t"], raw["at"], raw["step"], event_from_json(raw["kind"], raw["data"]))


def read_history(path: Path) -> list[Record]:
    """Read a stored history; a last line that was cut off by a crash is left out."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(record_from_line(line))
        except (ValueError, KeyError, TypeError) as error:
            if number >= len(lines) - 1:
                break
            msg = f"{path}:{number}: not a record of a history ({error})"
            raise EnvironmentFailure(msg) from error
    return records


def of(records: Sequence[Record], kind: type[E]) -> Iterator[tuple[Record, E]]:
    """The records whose event is of that class, with the event typed."""
    for record in records:
        if isinstance(record.event, kind):
            yield record, record.event


class History:
    """The history of a running scenario: append, look back, wait for more.

    Not thread-safe: it belongs to the run's event loop.
    """

    def __init__(
        self, clock: Clock, path: Path | None = None, mask: Callable[[str], str] | None = None
    ) -> None:
        self._mask = mask
        self._clock = clock
        self._zero = clock.monotonic()
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None
        self._writable = True
        self._more = asyncio.Event()
        self._listeners: list[Callable[[Record], None]] = []
        self.records: list[Record] = []
        self.lost = ""
        """Why nothing is certain from some moment on: the file cannot be written, or nothing can be seen."""

    def now(self) -> float:
        """Seconds since the run began, as exact as they are stored."""
        return round(self._clock.monotonic() - self._zero, 6)

    def since_start(self, monotonic: float) -> float:
        """Turn a reading of the run's monotonic clock into seconds since the run began."""
        return monotonic - self._zero

    def listen(self, listener: Callable[[Record], None]) -> None:
        """Call `listener` with every further record, at once."""
        self._listeners.append(listener)

    def append(self, event: Event, *, step: str | None = None) -> Record:
        """Record an event now (for `step`, or the step at hand), on disk before anyone hears of it.

        Where it cannot be written, `lost` says so and the run takes itself down on what is remembered.
        """
        whose = current_step.get() if step is None else step
        record = Record(len(self.records), self.now(), self._clock.wall(), whose, event)
        line = record_to_line(record)
        if self._mask is not None and (masked := self._mask(line)) != line:
            line, record = masked, record_from_line(masked)
        if self._file is not None and self._writable:
            self._write(line, self._file)
        self.records.append(record)
        self._more.set()
        for listener in self._listeners:
            listener(record)
        return record

    def _write(self, line: str, file: TextIO) -> None:
        try:
            file.write(line + "\n")
            file.flush()
        except OSError as error:
            self._writable = False
            self.lost = (
                f"cannot write the history ({file.name}): {error.strerror}; free some space and run again"
            )

    def lose(self, why: str) -> None:
        """From now on the deployment cannot be seen as it is: whatever is judged is unknown."""
        self.lost = self.lost or why

    async def more(self, than: int) -> None:
        """Wait until there are more records than `than`."""
        while len(self.records) <= than:
            self._more.clear()
            await self._more.wait()

    def close(self) -> None:
        """Close the file; appending further is an error."""
        if self._file is not None:
            with suppress(OSError):  # what it could not write before it cannot write now
                self._file.close()
