"""What an author's mistakes are answered with: place, message, "did you mean", all of them at once.

`mistakes/*.txt` hold the files: `=== title`, the mistaken file, and a line `--> LINE: MESSAGE` per mistake.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.harness.authoring import mistakes, use_small_kinds, write

FOLDER = Path(__file__).with_name("mistakes")
SCENARIO = "scenario: s\ntopology: topology.yaml\nchecks: [no_ghosts]\n"
THING = """\
kind: thing
options:
  port: {type: port, default: 1000}
  to: {type: url, required: true, about: Where to.}
  wait: {type: duration, default: 1s}
  inner: {type: service}
command: [x, '{port}', '{to}', '{wait}']
ports: ['{port}', '{port+1}']
url: 'http://{host.address}:{port}'
"""
ONE_THING = "hosts:\n  h1:\n    s: {kind: thing}\n"


@pytest.fixture(autouse=True)
def small_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_kinds(monkeypatch)


def blocks(name: str) -> list[Any]:
    """The cases of a file of mistakes."""
    cases = []
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        title, _, body = block.partition("\n")
        file, *told = re.split(r"^--> ", body.rstrip() + "\n", flags=re.MULTILINE)
        cases.append(pytest.param(file, [line.rstrip() for line in told], id=title))
    return cases


@pytest.mark.parametrize(("file", "told"), [*blocks("scenarios"), *blocks("steps")])
def test_a_mistaken_scenario(tmp_path: Path, file: str, told: list[str]) -> None:
    """Every mistake of a scenario file is told with its line."""
    assert mistakes(write(tmp_path, file)) == told


@pytest.mark.parametrize(("file", "told"), blocks("topologies"))
def test_a_mistaken_topology(tmp_path: Path, file: str, told: list[str]) -> None:
    """Every mistake of a topology is told with its file and line."""
    assert mistakes(write(tmp_path, SCENARIO, topology=file, kinds__thing=THING)) == told


@pytest.mark.parametrize(("file", "told"), blocks("kinds"))
def test_a_mistaken_kind(tmp_path: Path, file: str, told: list[str]) -> None:
    """A kind's mistake is told where the kind or, when only a use shows it, where the service stands."""
    assert mistakes(write(tmp_path, SCENARIO, topology=ONE_THING, kinds__thing=file)) == told


def test_a_mistaken_kind_is_told_once(tmp_path: Path) -> None:
    """Two services of one mistaken kind do not repeat its mistake."""
    two = ONE_THING + "    t: {kind: thing}\n"
    found = mistakes(write(tmp_path, SCENARIO, topology=two, kinds__thing="kind: thing\ncomand: [x]\n"))
    assert found == ["kinds/thing.yaml:2: a kind has no key 'comand'. Did you mean 'command'?"]


def test_mistakes_of_scenario_and_topology_come_together(tmp_path: Path) -> None:
    """What is wrong with the topology does not hide what is wrong with the scenario's own keys."""
    scenario = "scenario: s\ntopology: topology.yaml\nstepz: []\nchecks: [no_ghosts]\n"
    found = mistakes(write(tmp_path, scenario, topology="hosts: {a b: }\n"))
    assert found == [
        "3: a scenario has no key 'stepz'. Did you mean 'steps'?",
        "topology.yaml:1: 'a b' cannot be the name of a host: letters, digits, '-' and '_' only",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"scenario: \xff\n", "1: the file is not text in UTF-8"),
        (b"a: b\n" * 250_000, "the file is larger than 1000 kB; that is no scenario"),
        (b"a: \x01\n", "1: not valid YAML: control characters are not allowed"),
        (b"[" * 1000, "1: nested more than 50 levels deep"),
    ],
    ids=["not UTF-8", "huge", "control character", "deep"],
)
def test_a_file_that_is_no_scenario_at_all(tmp_path: Path, content: bytes, told: str) -> None:
    """Binary, huge and absurd files are refused in a sentence."""
    path = write(tmp_path, "")
    path.write_bytes(content)
    assert mistakes(path) == [told]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A mistyped path names the file that was probably meant."""
    write(tmp_path, "")
    assert mistakes(tmp_path / "b.scenario.yaml") == [
        "there is no such file. Did you mean 'a.scenario.yaml'?"
    ]


def test_aliases_that_explode(tmp_path: Path) -> None:
    """A file that unfolds to billions of values is refused before it does."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    found = mistakes(write(tmp_path, "a0: &a0 [x, x, x]\n" + levels))
    assert found == ["6: the file holds more than 50000 values, repeated ones included"]
