"""Plants a bug: a shipped scenario with one of its services replaced by a defective build.

`scenarios/regressions/*.yaml` say which bug is planted where and what must notice it; the defective builds
are `mock_services/defects/`. Everything is taken from the real scenario, topology and kinds; only waits
are shortened, so that a step that is going to fail does not take its ten seconds.

`python -m tests.end_to_end.planting DEFECT` shows one.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import yaml

T = TypeVar("T")

SCENARIOS = Path(__file__).parents[2] / "scenarios"
TABLES = sorted((SCENARIOS / "regressions").glob("*.yaml"))
TABLE = SCENARIOS / "regressions" / "planted.yaml"
SHORTEST_THAT_PASSES = {"within": "3s", "revive_within": "3s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One row of the table."""

    instead_of: str
    table: Path = TABLE
    caught_in: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def table() -> dict[str, Planted]:
    """The rows of all tables by defect."""
    rows = [(table, yaml.safe_load(table.read_text())["planted"]) for table in TABLES]
    return {defect: _row(table, **row) for table, planted in rows for defect, row in planted.items()}


def shared(names: Sequence[T], share: str) -> list[T]:
    """Every n-th of these, beginning with the k-th, of a share k/n."""
    which, _, of = share.partition("/")
    return list(names)[int(which) - 1 :: int(of)]


def _row(table: Path, instead_of: str, **lists: list[str]) -> Planted:
    return Planted(instead_of=instead_of, table=table, **{key: tuple(value) for key, value in lists.items()})


def plant(folder: Path, defect: str, row: Planted, *, detect: str = "") -> Path:
    """Write the scenario with this defect into a folder; returns its file."""
    return _write(folder, row.steps, defect, row, detect)


def unchanged(folder: Path, steps: Sequence[str], table: Path = TABLE) -> Path:
    """The same steps with nothing planted: the positive control."""
    return _write(folder, steps, "", None, "", table)


def _write(
    folder: Path, steps: Sequence[str], defect: str, row: Planted | None, detect: str, table: Path = TABLE
) -> Path:
    table = row.table if row else table
    sources = yaml.safe_load(table.read_text())
    scenario = yaml.safe_load((table.parent / sources["scenario"]).read_text())
    topology = yaml.safe_load((table.parent / sources["topology"]).read_text())
    if row is not None:
        _replace(topology, folder, row, ["muster-mock", "defect", defect], row.options)
    wanted = {*sources["always"], *steps}
    kept = [step for step in scenario["steps"] if step["name"] in wanted]
    missing = wanted - {step["name"] for step in kept}
    assert not missing, f"the scenario has no steps {missing}"
    checks = sources.get("checks", [])
    shortest = SHORTEST_THAT_PASSES | sources.get("shortest", {})
    steps = [_shortened(step, detect, shortest) for step in kept]
    scenario |= {"topology": topology, "steps": steps, "checks": checks}
    del scenario["at_least"]
    file = folder / Path(sources["scenario"]).name
    file.write_text(yaml.safe_dump(scenario, sort_keys=False, width=1000))
    return file


def _replace(
    topology: dict[str, Any], folder: Path, row: Planted, program: list[str], options: Sequence[str]
) -> None:
    """Give one service a kind of its own, which differs from the shipped one in the program it starts."""
    name, _, nested = row.instead_of.partition(".")
    service = next(services[name] for services in topology["hosts"].values() if name in services)
    service = service[nested] if nested else service
    kind = yaml.safe_load((SCENARIOS / "kinds" / f"{service['kind']}.yaml").read_text())
    service["kind"] = kind["kind"] = f"defective-{service['kind']}"
    kind["command"] = [*program, *kind["command"][2:], *options]
    (folder / "kinds").mkdir()
    (folder / "kinds" / f"{kind['kind']}.yaml").write_text(yaml.safe_dump(kind, sort_keys=False, width=1000))


def _shortened(value: Any, detect: str, shortest: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_shortened(item, detect, shortest) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _shortened(item, detect, shortest) for key, item in value.items()}
    changed |= {key: shorter for key, shorter in shortest.items() if key in changed}
    if changed.get("revive") == "supervisor":
        changed["revive_within"] = shortest["revive_within"]
    if detect and "detect" in changed:
        changed["detect"] = detect
    return changed


def main(argv: Sequence[str]) -> int:
    """Show one planted bug: run its scenario as a user would, and keep the report."""
    rows = table()
    if len(argv) != 1 or argv[0] not in rows:
        print(f"usage: python -m tests.end_to_end.planting DEFECT\nDEFECT is one of: {', '.join(rows)}")
        return 4
    with TemporaryDirectory() as folder:
        file = plant(Path(folder), argv[0], rows[argv[0]])
        muster = Path(sys.executable).with_name("muster")
        return subprocess.run([muster, "run", file, "--hosts", "process"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
