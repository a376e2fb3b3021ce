"""`muster plan`, `list`, `new`: what is said without starting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.plan import PlannedLoad, plan
from harness.scenario import load_scenario
from tests.harness.authoring import load, use_small_kinds, write

SHIPPED = Path(__file__).parents[2] / "scenarios" / "discovery" / "two_servers.scenario.yaml"
HEAD = "scenario: s\ntopology: topology.yaml\nsteps:\n"


def loads(folder: Path, *written: str, cap: int | None = None) -> list[PlannedLoad | None]:
    """What the loads of some steps send."""
    lines = (f"  - {{name: s{n}, {line}}}\n" for n, line in enumerate(written))
    return [step.load for step in plan(load(write(folder, HEAD + "".join(lines))), cap).steps]


def test_how_many_requests_a_load_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stated, asked for by a check, capped, by rate, or as long as it lasts."""
    use_small_kinds(monkeypatch)
    auto = "load: {chat: model-1, requests: auto}, expect: {even: [worker], detect: 10%}"
    found = loads(
        tmp_path, "load: {chat: model-1, requests: 7}", auto, "load: {chat: model-1, for: 5s}", "wait: 1s"
    )
    assert found == [
        PlannedLoad(requests=7, why="stated"),
        PlannedLoad(requests=100, why="auto: 'even worker' needs them"),
        PlannedLoad(requests=None, why="for 5 s"),
        None,
    ]
    capped = loads(tmp_path, auto, "load: {chat: model-1, requests: auto}", cap=60)
    assert capped == [
        PlannedLoad(requests=60, why="auto: 'even worker' needs 100, capped at 60"),
        PlannedLoad(requests=None, why="auto, and no check says how many it needs"),
    ]


def test_how_long_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least all waits, loads and `for`; at most every limit and `within`, and never more than the scenario's."""
    use_small_kinds(monkeypatch)
    steps = (
        "  - {name: a, wait: 2s, limit: 5s}\n"
        "  - {name: b, expect: {registered: all, within: 10s}}\n"
        "  - {name: c, fault: {kill: worker}, limit: 20s, steps: [{name: d, expect: {registered: all, for: 3s}}]}\n"
    )
    found = plan(load(write(tmp_path, HEAD + steps)))
    assert (found.takes_at_least, found.takes_at_most) == (5.0, 38.0)
    assert plan(load(write(tmp_path, "limit: 30s\n" + HEAD + steps))).takes_at_most == 30.0


def test_the_plan_of_the_shipped_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts, ports, steps, actions, expectations and samples, in words."""
    assert main(["plan", str(SHIPPED)]) == 0
    told = capsys.readouterr().out
    for line in (
        "  babysitter-d  babysitter  ports 8200, 8201",
        "      does     kill babysitter-a.backend, revive supervisor",
        "      expects  http http://server1:18000/health, status 200, within 5 s",
        "        expects  availability 100 %",
    ):
        assert f"{line}\n" in told
    assert "{server1.address}" not in told


def test_a_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get the same as one JSON value."""
    assert main(["plan", str(SHIPPED), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (scenario,) = told["scenarios"]
    assert told["mistakes"] == []
    assert scenario["hosts"] == ["server1", "server2"]
    assert scenario["services"][0]["ports"] == [18000]


def test_mistakes_of_all_files_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, every mistake with its place, of every file named."""
    one = write(tmp_path, "scenario: s\nchecks: [right_modle]\ntopology: topology.yaml\n")
    two = tmp_path / "b.scenario.yaml"
    two.write_text("scenario: s\nlimit: x\n", encoding="utf-8")
    assert main(["plan", str(tmp_path)]) == 4
    told = capsys.readouterr().err
    assert f"{one}:2: no check is called 'right_modle'. Did you mean 'right_model'?\n" in told
    assert f"{two}:1: the scenario needs 'topology': a file's path, or hosts and services\n" in told
    assert told.endswith("3 mistakes; nothing was started\n")
    assert main(["plan", str(one), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["mistakes"][0]["place"] == f"{one}:2"


def test_parameters_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--param sets one; anything but NAME=VALUE is wrong usage."""
    text = "params: {t: [1s, 2s]}\n" + HEAD + "  - {name: 'waits {param.t}', wait: '{param.t}'}\n"
    path = write(tmp_path, text)
    assert main(["plan", str(path), "--param", "t=3s"]) == 0
    assert "waits 3s" in capsys.readouterr().out
    assert main(["plan", str(path), "--param", "t"]) == 4
    assert capsys.readouterr().err == "--param: expected NAME=VALUE, got 't'\n"


def test_a_secret_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes from the environment of a service is no part of a plan."""
    monkeypatch.setenv("TOKEN_OF_A_TEST", "hunter2-hunter2")
    topology = "hosts: {h: {s: {command: [a, '{env.TOKEN_OF_A_TEST}'], env: {T: '{env.TOKEN_OF_A_TEST}'}}}}\n"
    path = write(tmp_path, HEAD + "  - {name: a, wait: 1s}\n", topology=topology)
    assert main(["plan", str(path)]) == 0
    assert main(["plan", str(path), "--json"]) == 0
    assert "hunter2" not in capsys.readouterr().out


def test_what_is_new_passes_plan_and_is_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`new` writes a scenario that is right from the start, and leaves what exists as it is."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "my-first"]) == 0
    path = Path("scenarios/my-first.scenario.yaml")
    (scenario,) = load_scenario(path)
    assert len(scenario.steps) == 4
    assert Path("scenarios/scenario.schema.json").is_file()
    before = path.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["new", "my-first"]) == 4
    assert capsys.readouterr().err == (
        "scenarios/my-first.scenario.yaml: exists already, and is left as it is\n"
        "scenarios/topologies/my-first.yaml: exists already, and is left as it is\n"
    )
    assert path.read_text(encoding="utf-8") == before
    assert main(["new", "../evil"]) == 4
    assert capsys.readouterr().err == "NAME: '../evil' is no name: letters, digits, '-' and '_' only\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be is the machine's matter: exit code 6, one line."""
    (tmp_path / "x").write_text("", encoding="utf-8")
    assert main(["new", "a", "--dir", str(tmp_path / "x" / "y")]) == 6
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("checks", ["  registered\n", "      names "]),
        ("faults", ["  kill\n"]),
        ("loads", ["  chat\n", "(a whole number from 1 to 1000; default 1)"]),
        ("actions", ["  wait\n"]),
        ("hosts", ["  process\n"]),
        ("kinds", ["  babysitter\n", "; default 0.2s)"]),
        ("protocols", ["  openai\n"]),
    ],
)
def test_lists(what: str, holds: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What scenarios can be made of, with options, types and defaults."""
    assert main(["list", what]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{what}\n")
    assert [part for part in holds if part not in told] == []


def test_everything_is_listed_as_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind has a description, and each option a type; scenarios of the folder are among them."""
    write(tmp_path, "scenario: mine\n")
    monkeypatch.chdir(tmp_path)
    assert main(["list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("scenarios") == [{"name": "a.scenario.yaml", "about": "mine", "options": []}]
    assert [entry["name"] for entries in told.values() for entry in entries if not entry["about"]] == []
    options = [option for entries in told.values() for entry in entries for option in entry["options"]]
    assert [option for option in options if not (option["takes"] and option["about"])] == []
