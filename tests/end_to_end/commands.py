"""The commands as a user types them, and what they report."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TWO_SERVERS = ROOT / "scenarios" / "discovery" / "two_servers.scenario.yaml"


@dataclass(frozen=True, slots=True)
class Step:
    """A step's verdict."""

    status: str
    message: str
    details: tuple[str, ...]

    @property
    def told(self) -> str:
        return "\n".join((self.message, *self.details))


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    output: str
    report: dict[str, Any]

    @property
    def steps(self) -> dict[str, Step]:
        """The verdicts of the steps that were to be judged, by path."""
        return {
            "::".join(step["path"]): Step(step["status"], step["message"], tuple(step["details"]))
            for scenario in self.report["scenarios"]
            for step in _walk(scenario["steps"])
            if step["selected"]
        }

    def having(self, *statuses: str) -> list[str]:
        """The paths of the steps with one of these verdicts, in the scenario's order."""
        return [path for path, step in self.steps.items() if step.status in statuses]


def _walk(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        yield from _walk(step["steps"])


def call(*argv: str | Path, env: Mapping[str, str] | None = None, within: float = 120) -> Ended:
    """Run a program of the project's environment to its end."""
    done = subprocess.run(
        [BIN / str(argv[0]), *argv[1:]] if "/" not in str(argv[0]) else argv,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "1000", **(env or {})},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within,
        check=False,
    )
    return Ended(done.returncode, done.stdout, {})


def muster_run(file: Path, run_dir: Path, *options: str) -> Ended:
    """`muster run FILE`, with its report."""
    done = call("muster", "run", file, "--run-dir", run_dir, *options)
    return Ended(done.code, done.output, report_in(run_dir))


def report_in(run_dir: Path) -> dict[str, Any]:
    """The report of the latest run in a folder; empty without one."""
    reports = sorted(run_dir.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    return dict(json.loads(reports[-1].read_text())) if reports else {}


def manifests_in(run_dir: Path) -> list[dict[str, Any]]:
    """The manifests of all runs in a folder that got so far as to write one."""
    return [json.loads(path.read_text()) for path in run_dir.glob("*/*/manifest.json")]
