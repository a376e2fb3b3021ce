"""What a scenario file means: steps, options in their short and long forms, repetition, parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.actions import Call, Start, Stop, Wait
from harness.errors import Place
from harness.model import HostSpec, Step, Topology
from harness.scenario import load_scenario, scenario_id
from tests.harness.authoring import (
    Answer,
    Assigned,
    Chat,
    Even,
    Kill,
    NoGhosts,
    Registered,
    load,
    mistakes,
    use_small_kinds,
    write,
)

HEAD = "scenario: s\ntopology: topology.yaml\n"


@pytest.fixture(autouse=True)
def small_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_kinds(monkeypatch)


def steps(folder: Path, *written: str) -> tuple[Step, ...]:
    """The steps of a scenario, from one line of YAML each."""
    return load(write(folder, HEAD + "steps:\n" + "".join(f"  - {line}\n" for line in written))).steps


def checked(folder: Path, written: str) -> Any:
    """The check of the only step's only expectation."""
    (step,) = steps(folder, f"{{name: a, expect: {written}}}")
    (expect,) = step.expects
    return expect.check


def test_the_whole_of_a_scenario(tmp_path: Path) -> None:
    """Title, description, tags, limit and minimum arrive as written, folded text on one line."""
    text = "about: >\n  Two\n  lines.\ntags: [a, b]\nlimit: 2m\nat_least: 1 step\nversion: 1\nchecks: [no_ghosts]\n"
    scenario = load(write(tmp_path, HEAD + text))
    assert (scenario.name, scenario.about, scenario.tags) == ("s", "Two lines.", ("a", "b"))
    assert (scenario.limit, scenario.at_least) == (120.0, 1)


def test_steps_are_numbered_and_named_from_the_top(tmp_path: Path) -> None:
    """Ids are unique and tell the nesting; paths hold all names; places are lines of the file."""
    one, two = steps(
        tmp_path, "{name: a, wait: 1s}", "{name: b, fault: {kill: worker}, steps: [{name: c, wait: 2s}]}"
    )
    assert [one.id, two.id, two.steps[0].id] == ["1", "2", "2.1"]
    assert two.steps[0].path == ("b", "c")
    assert (one.place.line, two.place.line) == (4, 5)


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ("load: {chat: model-1, at: router, requests: auto}", Chat("model-1", at="router", requests="auto")),
        ("load: {chat: model-1, for: 5s}", Chat("model-1", seconds=5.0)),
        ("load: {chat: {model: model-1, requests: 3}}", Chat("model-1", requests=3)),
        ("fault: {kill: worker.backend, revive: supervisor}", Kill("worker.backend", "supervisor")),
        ("fault: {kill: server2}", Kill("server2")),
        ("start: worker", Start("worker")),
        ("stop: server2", Stop("server2")),
        ("stop: {service: router}", Stop("router")),
        ("wait: 250ms", Wait(0.25)),
        ("wait: {for: 1s}", Wait(1.0)),
        (
            "call: {http: '{router.url}/x', method: POST, json: {a: [1]}}",
            Call("http://{server1.address}:8000/x", method="POST", json={"a": [1]}),
        ),
    ],
)
def test_actions(tmp_path: Path, written: str, action: object) -> None:
    """Each action becomes its class, whether its main option or all options are written."""
    (step,) = steps(tmp_path, f"{{name: a, {written}}}")
    assert step.action == action
    assert step.does == written.partition(":")[0]


@pytest.mark.parametrize(
    ("written", "check"),
    [
        ("{registered: [worker, worker-server]}", Registered(("worker", "worker-server"))),
        ("{registered: worker}", Registered(("worker",))),
        ("{registered: all, at: registry}", Registered("all", at="registry")),
        ("{registered: '{topology.registered}'}", Registered(("worker", "worker-server"))),
        ("{even: [worker], detect: 25%}", Even(("worker",), 0.25)),
        ("{even: , detect: 0.25}", Even((), 0.25)),
        ("no_ghosts", NoGhosts()),
        ("{no_ghosts: }", NoGhosts()),
        ("{no_ghosts: {longer_than: 3s}}", NoGhosts(3.0)),
        ("{no_ghosts: 4s}", NoGhosts(4.0)),
        ("{answer: {a: {b: 1}}}", Answer({"a": {"b": 1}})),
        ("{answer: {json: {a: 1}, status: 201}}", Answer({"a": 1}, 201)),
        ("{answer: {a: 1}, status: 201}", Answer({"a": 1}, 201)),
        (
            "{assigned: {worker-server: [model-1]}, even: true}",
            Assigned({"worker-server": ("model-1",)}, even=True),
        ),
    ],
)
def test_checks(tmp_path: Path, written: str, check: object) -> None:
    """A check is written bare, with its main option, with all options below it, or with some beside it."""
    assert checked(tmp_path, written) == check


def test_when_an_expectation_is_judged(tmp_path: Path) -> None:
    """`within`, `for` and `never` stand beside a check; a list holds expectations with times of their own."""
    listed = "[{registered: all, within: 5s}, {registered: all, for: 2s}, no_ghosts]"
    one, two = steps(
        tmp_path, f"{{name: a, expect: {listed}}}", "{name: b, expect: {never: {registered: all}, for: 3s}}"
    )
    assert [(e.within, e.hold, e.never) for e in one.expects] == [
        (5.0, None, False),
        (None, 2.0, False),
        (None, None, False),
    ]
    assert [(e.within, e.hold, e.never) for e in two.expects] == [(None, 3.0, True)]


def test_checks_at_the_end_are_steps_with_names_of_their_own(tmp_path: Path) -> None:
    """Two checks of one kind are told apart."""
    scenario = load(write(tmp_path, HEAD + "checks: [no_ghosts, {no_ghosts: 3s}, {never: no_ghosts}]\n"))
    assert [step.path for step in scenario.checks] == [
        ("checks", "no_ghosts"),
        ("checks", "no_ghosts 2"),
        ("checks", "never no_ghosts"),
    ]
    assert [step.id for step in scenario.checks] == ["checks.1", "checks.2", "checks.3"]


def test_limits_are_inherited(tmp_path: Path) -> None:
    """A nested step has its parent's limit unless it says otherwise; sixty seconds is the default."""
    nested = "[{name: b, wait: 1s}, {name: c, limit: 5s, wait: 1s}]"
    one, two = steps(
        tmp_path, f"{{name: a, limit: 90s, fault: {{kill: worker}}, steps: {nested}}}", "{name: d, wait: 1s}"
    )
    assert [one.limit, *(step.limit for step in one.steps), two.limit] == [90.0, 90.0, 5.0, 60.0]


def test_an_expectation_may_take_as_long_as_its_step(tmp_path: Path) -> None:
    """`within` and `for` equal to the limit are no mistake."""
    (step,) = steps(
        tmp_path, "{name: a, limit: 5s, expect: [{registered: all, within: 5s}, {registered: all, for: 5s}]}"
    )
    assert [expect.within or expect.hold for expect in step.expects] == [5.0, 5.0]


def test_a_fault_for_a_time(tmp_path: Path) -> None:
    """`for` on a fault without steps is a wait within it."""
    (step,) = steps(tmp_path, "{name: a, fault: {kill: worker}, for: 70s}")
    (wait,) = step.steps
    assert (wait.path, wait.action, wait.limit) == (("a", "it lasts 70 s"), Wait(70.0), 75.0)


def test_a_step_for_each_value(tmp_path: Path) -> None:
    """`each` repeats a step; its variable is usable in name, action and expectation."""
    found = steps(tmp_path, "{name: '{m} works', each: {m: '{topology.models}'}, load: {chat: '{m}'}}")
    assert [(s.id, s.name, s.action) for s in found] == [
        ("1", "model-1 works", Chat("model-1")),
        ("2", "model-2 works", Chat("model-2")),
    ]


def test_a_step_for_each_value_of_a_written_list(tmp_path: Path) -> None:
    """Numbers of a written list stay numbers where a reference stands alone."""
    found = steps(tmp_path, "{name: 'n = {n}', each: {n: [1, 2]}, load: {chat: model-1, requests: '{n}'}}")
    assert [step.action for step in found] == [Chat("model-1", requests=1), Chat("model-1", requests=2)]


def test_nothing_to_repeat_for_is_one_step_without_an_answer(tmp_path: Path) -> None:
    """An empty list leaves one step that says why it has nothing to judge."""
    topology = "hosts: {server1: {s: {command: [a]}}}\n"
    path = write(
        tmp_path,
        HEAD + "steps:\n  - {name: '{m} works', each: {m: '{topology.models}'}, load: {chat: '{m}'}}\n",
        topology=topology,
    )
    (step,) = load(path).steps
    assert (step.name, step.does, step.expects) == ("no m works", "", ())
    assert step.nothing == "topology.models is empty: no model is stated or was discovered"


def test_one_scenario_for_each_combination(tmp_path: Path) -> None:
    """Lists of parameters are multiplied; a single value is one; ids differ."""
    text = (
        HEAD
        + "params: {n: [1, 2], m: model-1}\nsteps:\n  - {name: a, load: {chat: '{param.m}', requests: '{param.n}'}}\n"
    )
    one, two = load_scenario(write(tmp_path, text))
    assert [one.steps[0].action, two.steps[0].action] == [
        Chat("model-1", requests=1),
        Chat("model-1", requests=2),
    ]
    assert [one.id, two.id] == ["a[n=1,m=model-1]", "a[n=2,m=model-1]"]
    assert two.params == {"n": 2, "m": "model-1"}


def test_a_parameter_given_from_outside(tmp_path: Path) -> None:
    """A value from the command line takes the place of the file's; an unknown one is a mistake."""
    path = write(
        tmp_path,
        HEAD + "params: {n: [1, 2]}\nsteps:\n  - {name: a, load: {chat: model-1, requests: '{param.n}'}}\n",
    )
    scenario = load(path, params_override={"n": "7"})
    assert scenario.steps[0].action == Chat("model-1", requests=7)
    assert mistakes(path, params_override={"m": "7"}) == ["1: the scenario has no parameter 'm'. Known: n."]


def test_the_environment_may_give_a_number(tmp_path: Path) -> None:
    """Text of the environment becomes a number where an option wants one, and stays text elsewhere."""
    path = write(tmp_path, HEAD + "steps:\n  - {name: a, load: {chat: '{env.M}', requests: '{env.N}'}}\n")
    topology = "hosts: {h: {s: {command: [a], registers: {s: ['5']}}}}\n"
    (tmp_path / "topology.yaml").write_text(topology, encoding="utf-8")
    assert load(path, environ={"M": "5", "N": "7"}).steps[0].action == Chat("5", requests=7)
    assert mistakes(path, environ={"M": "5", "N": "x"}) == [
        "4: requests: expected a whole number, at least 1, or 'auto', got 'x'"
    ]


def test_an_inline_topology(tmp_path: Path) -> None:
    """A scenario may hold its hosts itself."""
    text = "scenario: s\ntopology: {hosts: {h: {s: {command: [a]}}}}\nchecks: [no_ghosts]\n"
    scenario = load(write(tmp_path, text))
    assert [service.name for service in scenario.topology.services] == ["s"]


def test_servers_that_already_run(tmp_path: Path) -> None:
    """An attached topology takes the place of the file's; names of the file's own stay known."""
    written = (
        HEAD
        + "steps:\n  - {name: a, fault: {kill: worker}}\n  - {name: b, each: {m: '{topology.models}'}, wait: 1s}\n"
    )
    path = write(tmp_path, written)
    seen: list[Topology | None] = []

    def attach(stated: Topology | None) -> Topology:
        seen.append(stated)
        return Topology(hosts=(HostSpec(name="10.0.0.5", place=Place("inventory")),))

    scenario = load(path, attach=attach)
    assert [host.name for host in scenario.topology.hosts] == ["10.0.0.5"]
    assert scenario.steps[0].action == Kill("worker")
    assert scenario.steps[1].nothing
    assert [topology.hosts[0].name for topology in seen if topology] == ["server1"]


def test_a_mistaken_file_attaches_to_nothing(tmp_path: Path) -> None:
    """Servers are not asked anything on behalf of a file that is wrong."""
    path = write(tmp_path, "scenario: s\ntopology: topolgy.yaml\nchecks: [no_ghosts]\n")

    def attach(stated: Topology | None) -> Topology:
        raise AssertionError

    assert len(mistakes(path, attach=attach)) == 1


@pytest.mark.parametrize(
    ("file", "params", "found"),
    [
        ("/x/scenarios/discovery/two.scenario.yaml", {}, "discovery.two"),
        ("/x/scenarios/two.scenario.yaml", {}, "two"),
        ("/x/y/two.scenario.yaml", {}, "two"),
        ("/x/y/two.yml", {"size": "1 / 2"}, "two[size=1-2]"),
    ],
)
def test_the_name_of_a_run_folder(file: str, params: dict[str, object], found: str) -> None:
    """A scenario's id is its path below `scenarios`, safe as a folder's name."""
    assert scenario_id(Path(file), params) == found


def test_a_kind_whose_module_is_missing_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table may name a module that is not installed; only its users hear of it."""
    from harness.kinds import Kinds

    table: Kinds[Any] = Kinds("check", {"absent": "harness.nowhere:Absent"})
    monkeypatch.setattr("harness.expect_reading.CHECKS", table)
    found = mistakes(write(tmp_path, HEAD + "checks: [absent]\n"))
    assert found == ["3: the check 'absent' cannot be loaded: No module named 'harness.nowhere'"]
