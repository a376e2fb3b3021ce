"""What a run looks like while it runs: coloured and live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from harness.checks.words import clock_time
from harness.events import (
    FaultHealed,
    FaultProven,
    FaultUnproven,
    LoadFinished,
    Note,
    ServiceExited,
    ServiceReady,
    StepJudged,
    StepStarted,
)
from harness.explain import say
from harness.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.status import Status as Spinner

    from harness.history import Record

MARKS: Mapping[str, tuple[str, str]] = {
    Status.PASS: ("PASS", "green"),
    Status.FAIL: ("FAIL", "bold red"),
    Status.UNKNOWN: ("UNKNOWN", "bold yellow"),
    Status.NOT_APPLICABLE: ("N/A", "dim"),
}
QUIET = (Note, FaultProven, FaultHealed, FaultUnproven, LoadFinished, ServiceExited)


class PatientConsole(Console):
    """A console whose reader may leave (`muster run ... | head`): the run goes on, is recorded and judged."""

    def on_broken_pipe(self) -> None:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self.file.fileno())


class Progress:
    """Prints a run's records as they come; hand `hear` to `runner.run`."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or PatientConsole(highlight=False, soft_wrap=True)
        self._spinner: Spinner | None = None
        self._told = ""

    def title(self, name: str, hosts_kind: str, why: str) -> None:
        """The scenario that begins."""
        self.console.print(f"[bold]{escape(name)}[/]  on {hosts_kind} hosts ({escape(why)})")

    def hear(self, record: Record) -> None:
        """Show one record."""
        show = _SHOW.get(type(record.event))
        if show is not None:
            show(self, record, record.event)

    def close(self) -> None:
        """Stop whatever moves."""
        self._watch("")

    def _watch(self, text: str) -> None:
        if self._spinner is not None:
            self._spinner.stop()
        self._spinner = None
        if text and self.console.is_terminal:
            self._spinner = self.console.status(escape(text))
            self._spinner.start()

    def ready(self, record: Record, event: ServiceReady) -> None:
        where = f"{event.url or event.host}"
        self._line(record, f"{event.service:<14} ready on {event.host} after {event.after:.2f} s  {where}")

    def started(self, record: Record, event: StepStarted) -> None:
        del record
        self._watch(" > ".join(event.path))

    def judged(self, record: Record, event: StepJudged) -> None:
        del record
        self._watch("")
        mark, style = MARKS[event.status]
        indent = "  " * len(event.path)
        took = f"{event.judged - event.started:.1f} s"
        self.console.print(f"{indent}[{style}]{mark:<7}[/] {escape(event.path[-1])}  [dim]{took}[/]")
        shown = event.message if event.status != Status.PASS and event.message != self._told else ""
        self._told = shown or self._told
        for text in [shown, *event.details] if shown else []:
            self.console.print(f"{indent}        {escape(text)}")

    def aside(self, record: Record, event: object) -> None:
        del event
        text = say(record)
        if text:
            self.console.print(f"      [dim]{escape(text)}[/]")

    def _line(self, record: Record, text: str) -> None:
        self.console.print(f"  [dim]{clock_time(record.t)}[/]  {escape(text)}")


_SHOW: Mapping[type[Any], Callable[[Progress, Record, Any], None]] = {
    ServiceReady: Progress.ready,
    StepStarted: Progress.started,
    StepJudged: Progress.judged,
    **dict.fromkeys(QUIET, Progress.aside),
}
