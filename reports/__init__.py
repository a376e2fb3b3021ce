"""Reports: from a run directory to something to read. The run directory is their only input.

```
from reports import write_reports
write_reports(Path("artifacts/latest"), ("html", "junit=build/junit.xml"))
```
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.kinds import Kinds
from reports.base import Publishes, Report, write_report

if TYPE_CHECKING:
    from reports.model import RunReport

__all__ = ["DEFAULT", "REPORTS", "load_report", "verdict_line", "write_reports"]

REPORTS: Kinds[Report] = Kinds(
    "report",
    {
        "console": "reports.console:Console",
        "html": "reports.html:Html",
        "json": "reports.json:Json",
        "junit": "reports.junit:JUnit",
        "markdown": "reports.markdown:Markdown",
    },
)

DEFAULT = ("json", "junit", "markdown", "html")


def load_report(run_dir: Path) -> RunReport:
    """The report's data model of a stored run, finished or not; EnvironmentFailure when there is none."""
    from harness.artifacts import load_run
    from reports.build import build_report
    from reports.logs import read_logs
    from reports.steps import first_bad

    runs = load_run(run_dir)
    logs = {}
    for run in runs:
        bad = first_bad(run)
        logs[run.manifest.id] = read_logs(run.directory.path, bad[1] if bad else None)
    return build_report(runs, run_dir, logs)


def write_reports(run_dir: Path, wanted: Sequence[str] = DEFAULT) -> dict[str, Path]:
    """Write the wanted reports (`NAME` or `NAME=PATH`), say where each is; UnknownKind for a wrong name."""
    asked = [(REPORTS[name](), name, path) for name, _, path in (entry.partition("=") for entry in wanted)]
    run = load_report(run_dir)
    written = {}
    for report, name, path in asked:
        written[name] = write_report(report, run, Path(path) if path else run_dir / report.file_name)
        if isinstance(report, Publishes):
            report.publish(written[name])
    return written


def verdict_line(run_dir: Path) -> str:
    """The verdict of a stored run in one sentence."""
    return load_report(run_dir).headline.sentence
