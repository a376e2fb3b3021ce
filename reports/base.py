"""What a report format is, and the one way in which a report gets onto the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, TextIO, runtime_checkable

from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from pathlib import Path

    from reports.model import RunReport


class Report(Protocol):
    """Draws a run. A new format is one file with such a class, and one line in `reports.REPORTS`."""

    file_name: ClassVar[str]
    """Its file in the run directory, unless another was asked for."""

    def render(self, run: RunReport, out: TextIO) -> None:
        """Write the whole report; pure apart from `out`."""


@runtime_checkable
class Publishes(Protocol):
    """A report that is also wanted somewhere else once it is written."""

    def publish(self, path: Path) -> None:
        """Bring the written file there; nothing where there is no such place."""


def write_report(report: Report, run: RunReport, path: Path) -> Path:
    """Open, write, close; a file that could not be written whole is removed, and what stood there stays."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", errors="replace", newline="\n") as out:
            report.render(run, out)
        part.replace(path)
    except OSError as error:
        msg = f"cannot write the report {path}: {error.strerror}; free some space or choose another place"
        raise EnvironmentFailure(msg) from error
    finally:
        part.unlink(missing_ok=True)
    return path
