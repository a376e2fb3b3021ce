"""How long muster itself takes: `python -m benchmarks.bring_up --help`.

ready     `muster run` of the two-servers scenario on process hosts: from the start of the run until six
          services and their four backends are ready
down      from the last verdict of that run until nothing of it runs any more
command   the same run as its user sees it, from the command to its end, reports included
scenario  the whole scenario, from the command to its end
plugin    what a pytest run without scenarios pays: one passing test, with the plugin and with `-p no:muster`
          in turns; and the quickest of each in processor time, which a busy machine disturbs least

Every figure is the median of repeated runs; the spread stands beside it. Exit code 1 when a target is missed.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SCENARIO = Path(__file__).parents[1] / "scenarios" / "discovery" / "two_servers.scenario.yaml"
BIN = Path(sys.executable).parent
FIRST_STEP = "the registry is healthy"


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: a figure, how often it was measured, and what it should be at most."""

    name: str
    seconds: Sequence[float]
    at_most: float | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def met(self) -> bool:
        return self.at_most is None or self.median <= self.at_most

    def row(self) -> str:
        wanted = "" if self.at_most is None else _shown(self.at_most)
        low, high = min(self.seconds), max(self.seconds)
        verdict = "" if self.at_most is None else "yes" if self.met else "**no**"
        return (
            f"| {self.name} | {_shown(self.median)} | {_shown(low)} to {_shown(high)} | {len(self.seconds)} "
            f"| {wanted} | {verdict} |"
        )


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if abs(seconds) < 0.1 else f"{seconds:.2f} s"


class Took(NamedTuple):
    """Seconds on the clock, and of processor time."""

    wall: float
    cpu: float


def timed(*argv: str | Path, cwd: Path | None = None) -> Took:
    """What a command takes; it must succeed."""
    began, cpu_before = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    took = Took(time.perf_counter() - began, _cpu_of_children() - cpu_before)
    if done.returncode:
        msg = f"{argv} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise SystemExit(msg)
    return took


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_scenario(*options: str) -> tuple[float, float, float]:
    """Seconds of the whole command, until all is ready, and from the last verdict until all is gone."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = ("--hosts", "process", "--run-dir", folder)
        whole = timed(BIN / "muster", "run", SCENARIO, *fixed, *options).wall
        [history] = Path(folder).glob("*-*/*/history.jsonl")
        records = [json.loads(line) for line in history.read_text().splitlines()]
    moments = {
        kind: [record["t"] for record in records if record["kind"] == kind]
        for kind in ("service.ready", "step.judged", "host.down", "host.up")
    }
    ready = next(r["t"] for r in records if r["kind"] == "note" and "services are ready" in r["data"]["text"])
    done = max(t for t in moments["step.judged"] if t < moments["host.down"][0])
    return whole, ready, moments["host.down"][-1] - done


def bring_up(runs: int) -> list[Measured]:
    """Up, one step, down."""
    figures = [run_scenario("-k", FIRST_STEP) for _ in range(runs)]
    whole, ready, down = zip(*figures, strict=True)
    return [
        Measured("start to all ready", ready, 3.0),
        Measured("last verdict to all gone", down, 1.0),
        Measured("`muster run` with one step, as a command", whole, None),
    ]


def scenario(runs: int) -> list[Measured]:
    """All steps, with their faults."""
    return [Measured("the whole scenario, as a command", [run_scenario()[0] for _ in range(runs)], 60.0)]


def plugin(runs: int) -> list[Measured]:
    """One passing test, with and without the plugin in turns: whatever else the machine does hits both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_one.py").write_text("def test_one(): pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")  # without one pytest looks into the folders above
        argv = (BIN / "pytest", "-q", "-p", "no:cacheprovider", folder)
        pairs = [
            (timed(*argv, cwd=folder), timed(*argv, "-p", "no:muster", cwd=folder)) for _ in range(runs + 1)
        ][1:]
    return [
        Measured("pytest without scenarios, with the plugin", [one.wall for one, _ in pairs], None),
        Measured("what the plugin adds to it", [one.wall - other.wall for one, other in pairs], 0.020),
        Measured("the same between the quickest two, in processor time", [_quickest(pairs)], None),
    ]


def _quickest(pairs: Sequence[tuple[Took, Took]]) -> float:
    return min(one.cpu for one, _ in pairs) - min(other.cpu for _, other in pairs)


PARTS = {"bring-up": bring_up, "scenario": scenario, "plugin": plugin}


def machine() -> str:
    """What the figures depend on."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}; load averages {load}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them unless named"
    )
    parser.add_argument(
        "--runs", type=int, default=7, help="how often each is run (plugin: three times as often)"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown or arguments.runs < 1:
        parser.error(f"there is no part {', '.join(unknown)}" if unknown else "--runs must be above 0")
    print(f"Before: {machine()}", flush=True)
    measured: list[Measured] = []
    for name in arguments.parts or PARTS:
        measured += PARTS[name](arguments.runs * (3 if name == "plugin" else 1))
    print(
        f"After: {machine()}\n\n| what | median | from to | runs | at most | met |\n|---|---|---|---|---|---|"
    )
    for one in measured:
        print(one.row())
    return 0 if all(one.met for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
