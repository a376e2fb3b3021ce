"""`pytest scenarios/` as people who live in pytest use it."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.end_to_end.commands import Ended, call
from tests.end_to_end.planting import plant, table, unchanged
from tests.end_to_end.test_bad_days import scenario

pytestmark = pytest.mark.slow


def run_pytest(folder: Path, *options: str) -> Ended:
    """Run pytest in a folder of scenarios."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    return call("pytest", folder, "--run-dir", folder / "runs", "--hosts", "process", *options)


def outcomes(ended: Ended) -> str:
    """The last line: what passed, failed, was skipped."""
    return ended.output.strip().splitlines()[-1]


def test_all_green_is_0(tmp_path: Path) -> None:
    """Each step is an item; the verdict in a sentence and the report's place stand at the end."""
    unchanged(tmp_path, ["a chat with {model} is answered by a service that has it"])
    ended = run_pytest(tmp_path, "-v")
    assert ended.code == 0, ended.output
    assert "two_servers.scenario.yaml::a chat with model-1 is answered by a service that has it PASSED" in (
        ended.output
    )
    assert "6 passed" in outcomes(ended)
    assert "PASSED: two servers, two models: 6 steps kept" in ended.output
    assert "report.html" in ended.output


def test_a_failing_step_is_1_and_lf_runs_it_again(tmp_path: Path) -> None:
    """Exit code 1, what broke and how to repeat it; --lf judges that step alone; -x ends the run there."""
    plant(tmp_path, "router_one_backend", table()["router_one_backend"])
    failing = "the router offers every model, once each"

    first = run_pytest(tmp_path, "--junitxml", str(tmp_path / "junit.xml"))
    assert first.code == 1, first.output
    assert "1 failed, 3 passed" in outcomes(first)
    assert "model-2 is missing" in first.output
    assert 'again:   pytest "' in first.output
    assert [case.get("name") for case in cases(tmp_path, "failure")] == [failing]

    again = run_pytest(tmp_path, "--lf")
    assert again.code == 1, again.output
    assert "1 failed" in outcomes(again)
    assert "passed" not in outcomes(again)


def test_x_ends_the_run_and_the_deployment(tmp_path: Path) -> None:
    """-x after the first failure: the steps behind it never run, and are shown as such in the report."""
    row = table()["router_unhealthy"]
    plant(tmp_path, "router_unhealthy", row)
    ended = run_pytest(tmp_path, "-x")
    assert ended.code == 1, ended.output
    assert "1 failed, 1 passed" in outcomes(ended)


def cases(folder: Path, kind: str) -> list[ET.Element]:
    """The test cases of junit.xml with a failure, an error or a skip."""
    tree = ET.parse(folder / "junit.xml")
    return [case for case in tree.iter("testcase") if case.find(kind) is not None]


def test_k_judges_what_is_selected(tmp_path: Path) -> None:
    """-k with a part of a step's name; nothing selected is 5."""
    unchanged(tmp_path, [])
    ended = run_pytest(tmp_path, "-k", "offers and model")
    assert ended.code == 0, ended.output
    assert "1 passed, 3 deselected" in outcomes(ended)
    assert run_pytest(tmp_path, "-k", "nobody").code == 5


def test_unknown_is_6_and_an_error_in_junit(tmp_path: Path) -> None:
    """A machine that cannot run it: UNKNOWN, not FAILED, in the summary and in JUnit."""
    scenario(tmp_path, broken="command: [no-such-program]")
    ended = run_pytest(tmp_path, "--junitxml", str(tmp_path / "junit.xml"))
    assert ended.code == 6, ended.output
    assert "1 unknown" in outcomes(ended)
    assert [case.get("name") for case in cases(tmp_path, "error")] == ["time passes"]
    assert cases(tmp_path, "failure") == []


def test_failed_beats_unknown(tmp_path: Path) -> None:
    """One file that fails and one that is unknown: 1."""
    plant(tmp_path, "router_lists_twice", table()["router_lists_twice"])
    scenario(tmp_path, broken="command: [no-such-program]")
    assert run_pytest(tmp_path).code == 1


def test_a_mistaken_scenario_is_4(tmp_path: Path) -> None:
    """The mistake without a traceback, and no other scenario is started for it."""
    scenario(tmp_path, broken="kind: regisry")
    ended = run_pytest(tmp_path)
    assert ended.code == 4, ended.output
    assert "Did you mean 'registry'?" in ended.output
    assert "Traceback" not in ended.output


def test_not_applicable_is_a_skip_with_its_reason(tmp_path: Path) -> None:
    """What these hosts cannot do is skipped, in the summary and in JUnit, and the rest decides."""
    unchanged(tmp_path, ["server 2 loses its cable"])
    ended = run_pytest(tmp_path, "--junitxml", str(tmp_path / "junit.xml"), "-rs")
    assert ended.code == 0, ended.output
    assert "4 passed, 3 skipped" in outcomes(ended)
    assert "cutting traffic needs docker hosts" in ended.output
    assert len(cases(tmp_path, "skipped")) == 3


def test_xdist_keeps_a_file_together(tmp_path: Path) -> None:
    """-n 2: two files run at once, each whole on one worker, and there is one report of both."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        unchanged(tmp_path / name, [])
    ended = run_pytest(tmp_path, "-n", "2", "-v")
    assert ended.code == 0, ended.output
    assert "8 passed" in outcomes(ended)
    workers = {
        name: {
            line.split("]")[0]
            for line in ended.output.splitlines()
            if f"{name}/two_serv" in line and "PASS" in line
        }
        for name in ("one", "two")
    }
    assert [len(each) for each in workers.values()] == [1, 1], ended.output
    assert "2 scenarios" in ended.output
