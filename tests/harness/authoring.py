"""Small kinds and files that the tests of scenario loading share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from harness.errors import ScenarioError
from harness.evidence import Facts
from harness.kinds import Kinds
from harness.model import Scenario
from harness.options import ModelName, RegisteredName, ServiceName, TargetName
from harness.quantities import Duration, Percent
from harness.scenario import load_scenario

TOPOLOGY = """\
hosts:
  server1:
    registry: {command: [serve], ports: [18000], url: "http://{host.address}:18000", speaks: [service_registry]}
    router: {command: [serve], url: "http://{host.address}:8000", speaks: [openai]}
  server2:
    worker: {command: [serve], registers: {worker: [], worker-server: [model-1, model-2]}, child: backend}
"""


@dataclass(frozen=True)
class Chat:
    """Test traffic."""

    model: ModelName
    _: KW_ONLY
    at: ServiceName = ""
    requests: Annotated[int, Field(gt=0)] | Literal["auto"] | None = None
    seconds: Annotated[Duration | None, Field(alias="for")] = None


@dataclass(frozen=True)
class Kill:
    """A test fault."""

    target: TargetName
    """Whom it hits."""
    revive: Literal["supervisor", "harness"] = "harness"


@dataclass(frozen=True)
class Registered:
    """A test check."""

    names: tuple[RegisteredName, ...] | Literal["all"]
    """The names."""
    at: ServiceName = ""


@dataclass(frozen=True)
class Even:
    """A test check that wants a sample."""

    over: tuple[RegisteredName, ...] = ()
    detect: Percent = 0.1

    def sample(self, facts: Facts, model: str) -> int:
        """One hundred requests for ten points."""
        return int(10 / self.detect)


@dataclass(frozen=True)
class NoGhosts:
    """A test check that lints."""

    longer_than: Duration = 8.0

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Refuse the impossible."""
        return ["nothing is that fast"] if self.longer_than < 0.1 else []


@dataclass(frozen=True)
class Answer:
    """A test check whose main option is a mapping."""

    json: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Assigned:
    """A test check one of whose options has the name of another check."""

    services: Mapping[RegisteredName, tuple[ModelName, ...]]
    even: bool = False


def kinds(role: str, **classes: type) -> Kinds[Any]:
    """A table of classes."""
    table: Kinds[Any] = Kinds(role, {})
    for name, cls in classes.items():
        table.register(name, cls)
    return table


CHECKS = kinds(
    "check",
    registered=Registered,
    even=Even,
    no_ghosts=NoGhosts,
    answer=Answer,
    assigned=Assigned,
)


def use_small_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load scenarios with the kinds of this file instead of the shipped ones."""
    monkeypatch.setattr("harness.expect_reading.CHECKS", CHECKS)
    table = {"load": kinds("load", chat=Chat), "fault": kinds("fault", kill=Kill)}
    monkeypatch.setattr("harness.step_reading.ROLES", table)


def write(folder: Path, scenario: str, **files: str) -> Path:
    """A scenario, and whatever files it needs: `kinds__router` becomes kinds/router.yaml."""
    for name, text in {"topology": TOPOLOGY, **files}.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    path = folder / "a.scenario.yaml"
    path.write_text(scenario, encoding="utf-8")
    return path


def load(path: Path, **options: Any) -> Scenario:
    """The only scenario of a file."""
    (scenario,) = load_scenario(path, **options)
    return scenario


def mistakes(path: Path, **options: Any) -> list[str]:
    """What loading a file complains of: `line: message`, with the file's name where it is another one."""
    try:
        load_scenario(path, **options)
    except ScenarioError as error:
        told = (str(p).removeprefix(f"{path}:").replace(f"{path.parent}/", "") for p in error.problems)
        return [one.strip() for one in told]
    return []
