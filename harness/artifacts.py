"""The run directory: manifest, history, logs. Whatever a report or a new judgement needs is in here.

```
artifacts/2026-11-20T22-10-03/            one run of pytest or muster
  discovery.two_servers/                  one scenario of it
    manifest.json                         written first: what was going to be done
    history.jsonl                         written as it happens
    logs/<host>/<service>.log             from the first byte
    services/<host>/<service>/            the service's working folder and files
    result.json                           written last; missing: the run was cut short
```
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFailure
from harness.evidence import Facts
from harness.history import Record, read_history

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step as the manifest lists it; `selected` steps are judged, the others only performed."""

    id: str
    path: tuple[str, ...]
    does: str
    asks: tuple[str, ...]
    file: str
    line: int
    selected: bool = True
    nodeid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedService:
    """A service as the manifest lists it, secrets masked."""

    name: str
    host: str
    kind: str
    url: str = ""
    command: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was going to be done, written before anything is."""

    run: str
    scenario: str
    id: str
    file: str
    about: str
    tags: tuple[str, ...]
    hosts_kind: str
    hosts: Mapping[str, str]
    services: tuple[PlannedService, ...]
    steps: tuple[PlannedStep, ...]
    facts: Facts
    started: float
    at_least: int | None = None
    why_hosts: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        raw = {name: getattr(self, name) for name in self.__slots__}
        raw["facts"] = self.facts.to_json()
        raw["services"] = [{n: getattr(s, n) for n in s.__slots__} for s in self.services]
        raw["steps"] = [{n: getattr(s, n) for n in s.__slots__} for s in self.steps]
        return raw

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Manifest:
        """The inverse of `to_json`."""
        lists = {
            "tags": tuple(raw["tags"]),
            "facts": Facts.from_json(raw["facts"]),
            "services": tuple(
                PlannedService(**{**s, "command": tuple(s["command"]), "ports": tuple(s["ports"])})
                for s in raw["services"]
            ),
            "steps": tuple(
                PlannedStep(**{**s, "path": tuple(s["path"]), "asks": tuple(s["asks"])}) for s in raw["steps"]
            ),
        }
        return cls(**{**raw, **lists})


@dataclass(frozen=True, slots=True)
class ScenarioDirectory:
    """Where one scenario's run keeps what it leaves."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    def log(self, host: str, service: str) -> Path:
        """A service's log; its folder exists afterwards."""
        return self._file("logs", host, f"{service}.log")

    def workdir(self, host: str, service: str) -> Path:
        """A service's working folder, made."""
        folder = self._file("services", host, service)
        folder.mkdir(exist_ok=True)
        return folder

    def _file(self, *parts: str) -> Path:
        path = self.path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRun:
    """One stored scenario: what was planned, what happened, and how it ended (None: cut short)."""

    directory: ScenarioDirectory
    manifest: Manifest
    records: Sequence[Record]
    result: Mapping[str, Any] | None


def write_json(path: Path, value: object, mask: Callable[[str], str] = str) -> None:
    """Write a JSON file whole or not at all, its text through `mask` (which keeps secrets out)."""
    part = path.with_name(f".{path.name}.part")
    try:
        text = json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
        part.write_text(mask(text), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}; free some space or choose another --run-dir"
        raise EnvironmentFailure(msg) from error


def make_run_directory(base: Path, stamp: str) -> Path:
    """Make `base/stamp` (with -2, -3, ... when it is taken) and point `base/latest` at it."""
    name = claim(base, stamp)
    with _making(base):
        _point_latest(base, name)
    return base / name


def claim(base: Path, wanted: str) -> str:
    """Make a folder of that name, with -2, -3, ... when it is taken: nobody else writes there.

    Two scenario files may have one id, and one file may be run twice; each has its own history and journal.
    """
    with _making(base):
        base.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
            with suppress(FileExistsError):
                (base / f"{wanted}{suffix}").mkdir()
                return f"{wanted}{suffix}"
    msg = f"{base} holds a thousand runs of {wanted}; clean it up or choose another --run-dir"
    raise EnvironmentFailure(msg)


@contextmanager
def _making(base: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot make a run directory in {base}: {error.strerror}; choose another with --run-dir"
        raise EnvironmentFailure(msg) from error


def _point_latest(base: Path, name: str) -> None:
    link = base / f".latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    link.replace(base / "latest")


def load_scenario_run(path: Path) -> ScenarioRun:
    """Read one scenario's directory; EnvironmentFailure when there is no readable manifest."""
    directory = ScenarioDirectory(path)
    try:
        manifest = Manifest.from_json(json.loads(directory.manifest.read_text(encoding="utf-8")))
        records = read_history(directory.history) if directory.history.exists() else []
        result = (
            json.loads(directory.result.read_text(encoding="utf-8")) if directory.result.exists() else None
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is not the directory of a muster run: {error}"
        raise EnvironmentFailure(msg) from error
    return ScenarioRun(directory=directory, manifest=manifest, records=records, result=result)


def load_run(path: Path) -> list[ScenarioRun]:
    """Read a run directory (or one scenario's directory), scenarios in the order they began."""
    if (path / "manifest.json").exists():
        return [load_scenario_run(path)]
    found = [load_scenario_run(file.parent) for file in path.glob("*/manifest.json")]
    if not found:
        msg = f"{path} holds no muster run (no manifest.json in it or one level below)"
        raise EnvironmentFailure(msg)
    return sorted(found, key=lambda run: run.manifest.started)
