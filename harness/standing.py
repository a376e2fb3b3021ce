"""Deployments that stand: those of `muster up`, found from another terminal by their run directories.

`muster up` holds a lock on `standing.json` for as long as it lives, so a deployment whose harness was killed
is told from one that stands without asking any process.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts import ScenarioRun, load_scenario_run
from harness.errors import Place, Problem, ScenarioError, did_you_mean

NAME = "standing.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A deployment that stands: the process that holds it, and its run."""

    pid: int
    run: ScenarioRun

    @property
    def name(self) -> str:
        """What `muster ps` calls it."""
        return self.run.manifest.id


@contextmanager
def standing(directory: Path) -> Iterator[None]:
    """Tell other terminals that the deployment of a run directory stands, until the context ends."""
    path = directory / NAME
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump({"pid": os.getpid()}, file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def find_standing(base: Path) -> list[Standing]:
    """The deployments that stand below a folder of runs, the oldest first."""
    files = sorted(path for path in base.glob(f"*/*/{NAME}") if not path.parents[1].is_symlink())
    return [found for path in files if (found := _held(path)) is not None]


def _held(path: Path) -> Standing | None:
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = int(json.load(file)["pid"])
            return Standing(pid=pid, run=load_scenario_run(path.parent))
    return None


def choose(base: Path, name: str) -> Standing:
    """The deployment with that name, or the only one; ScenarioError says what there is."""
    found = find_standing(base)
    if not found:
        message = f"no deployment stands below {base}; `muster up FILE` brings one up"
        raise ScenarioError([Problem(Place("muster"), message)])
    names = [each.name for each in found]
    if name and name not in names:
        message = f"no deployment is called '{name}'.{did_you_mean(name, names)}"
        raise ScenarioError([Problem(Place("muster"), message)])
    if not name and len(found) > 1:
        message = f"several deployments stand, say which with --name: {', '.join(names)}"
        raise ScenarioError([Problem(Place("muster"), message)])
    return next(each for each in found if not name or each.name == name)
