"""The formats: json, junit, markdown, console, and how files get written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, TextIO
from xml.etree import ElementTree as ET

import pytest

from harness.errors import EnvironmentFailure
from harness.kinds import UnknownKind
from reports import REPORTS, load_report, write_reports
from reports.base import write_report
from reports.json import Json
from reports.junit import JUnit, clean
from reports.markdown import code, escaped
from reports.model import RunReport, as_json
from tests.reports.runs import STORED, copy_of


def test_every_report_of_the_table_writes_its_file(tmp_path: Path) -> None:
    """Each name of the table writes a file that is not empty, under its own file name."""
    run = copy_of("failed", tmp_path)
    written = write_reports(run, tuple(REPORTS))
    assert {path.name for path in written.values()} == {REPORTS[name].file_name for name in REPORTS}
    assert all(path.stat().st_size > 100 for path in written.values())


def test_a_report_can_be_sent_elsewhere(tmp_path: Path) -> None:
    """`NAME=PATH` writes to that path, whose folder is made."""
    written = write_reports(copy_of("passed", tmp_path), [f"junit={tmp_path}/deep/er/j.xml"])
    assert written == {"junit": tmp_path / "deep/er/j.xml"}
    assert written["junit"].exists()


def test_an_unknown_report_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A mistyped name is named with what was meant."""
    run = copy_of("passed", tmp_path)
    with pytest.raises(UnknownKind, match=r"no report is called 'juint'\. Did you mean 'junit'"):
        write_reports(run, ["json", "juint"])
    assert not (run / "report.json").exists()


class Breaks:
    """A report that fails half-way."""

    file_name: ClassVar[str] = "breaks.txt"

    def render(self, run: RunReport, out: TextIO) -> None:
        out.write(run.run)
        raise OSError(28, "No space left on device")


def test_a_half_written_report_is_removed_and_the_old_one_stays(tmp_path: Path) -> None:
    """When writing fails, no part is left behind and what stood there is untouched."""
    path = tmp_path / "breaks.txt"
    path.write_text("old")
    with pytest.raises(EnvironmentFailure, match="No space left on device"):
        write_report(Breaks(), load_report(STORED / "passed"), path)
    assert [file.name for file in tmp_path.iterdir()] == ["breaks.txt"]
    assert path.read_text() == "old"


def test_json_holds_the_whole_model_with_its_format(tmp_path: Path) -> None:
    """report.json is the data model, its format first."""
    path = write_report(Json(), load_report(STORED / "failed"), tmp_path / "r.json")
    value = json.loads(path.read_text())
    assert next(iter(value)) == "format"
    assert value == as_json(load_report(STORED / "failed"))
    assert value["scenarios"][0]["faults"][0]["receipt"] == ["process 4711 is gone"]


def test_junit_counts_each_outcome_as_ci_systems_do(tmp_path: Path) -> None:
    """Fail is a failure, unknown an error, not applicable skipped; the counts agree with the cases."""
    path = write_report(JUnit(), load_report(STORED / "failed"), tmp_path / "j.xml")
    (suite,) = ET.parse(path).getroot()
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "15",
        "failures": "2",
        "errors": "2",
        "skipped": "2",
    }
    assert len(suite.findall("testcase")) == 15
    assert len(suite.findall("testcase/failure")) == 2


def test_junit_follows_the_xunit2_order_of_elements(tmp_path: Path) -> None:
    """A suite holds properties, then cases, then system-err; a case only what xunit2 knows."""
    path = write_report(JUnit(), load_report(STORED / "cut_short"), tmp_path / "j.xml")
    (suite,) = ET.parse(path).getroot()
    tags = [element.tag for element in suite]
    assert tags == ["properties", *["testcase"] * 15, "system-err"]
    assert {e.tag for case in suite.iter("testcase") for e in case} <= {
        "failure",
        "error",
        "skipped",
        "system-out",
    }
    assert {name for case in suite.iter("testcase") for name in case.attrib} == {"classname", "name", "time"}


def test_not_run_is_an_error_in_junit(tmp_path: Path) -> None:
    """Steps that never ran are errors: a run cut short is never green."""
    path = write_report(JUnit(), load_report(STORED / "cut_short"), tmp_path / "j.xml")
    assert ET.parse(path).getroot().get("errors") == "9"


def test_junit_has_no_character_that_xml_cannot_hold() -> None:
    """Control characters and lone surrogates are dropped; text and line breaks stay."""
    assert clean("a\x1b[31mb\x00\ud800\ufffe\nc\t€😀") == "a[31mb\nc\t€😀"


def test_the_summary_puts_failures_first_with_their_command(tmp_path: Path) -> None:
    """The summary opens with the verdict; each failure has its message and the command that repeats it."""
    written = write_reports(copy_of("failed", tmp_path), ["markdown"])["markdown"].read_text()
    assert written.startswith("## ❌ muster: failed\n")
    first = written.index("**FAILED**")
    assert first < written.index("**UNKNOWN**") < written.index("| scenario |")
    assert "again: `pytest " in written
    assert len(written.splitlines()) < 40


def test_the_summary_of_an_aborted_run_says_so(tmp_path: Path) -> None:
    """A run that was cut short is announced as aborted."""
    written = write_reports(copy_of("cut_short", tmp_path), ["markdown"])["markdown"].read_text()
    assert "**ABORTED**" in written


def test_the_summary_is_appended_to_the_ci_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With GITHUB_STEP_SUMMARY set, the summary is added to that file after what is there."""
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    write_reports(copy_of("passed", tmp_path), ["markdown"])
    assert page.read_text().startswith("before\n## ✅ muster: passed")


def test_hostile_text_stays_text_in_markdown() -> None:
    """Names that look like Markdown or HTML are shown as they are."""
    assert escaped("a|b\n<img src=x> [c](d)") == r"a\|b \<img src=x\> \[c\](d)"
    assert code("a`b``c") == "```a`b``c```"


def test_a_failing_step_explains_itself_on_the_console(tmp_path: Path) -> None:
    """The block has place, outcome, message, evidence with times, the log to look at, the command."""
    run = copy_of("failed", tmp_path)
    lines = write_reports(run, ["console"])["console"].read_text().splitlines()
    assert lines[0] == (
        "scenarios/discovery/two_servers.scenario.yaml:32  "
        "server 2 is killed::its services are forgotten   FAILED after 8.00 s"
    )
    assert lines[2].startswith("    00:05.627  fault     kill server2: proven at +0.062 s")
    assert lines[3].endswith("babysitter-c, babysitter-c-server, babysitter-d gone   +3.74 s")
    assert f"  look at: {run}/discovery.two_servers/logs/server1/registry.log:10" in lines
    assert any(line.startswith('  again:   pytest "scenarios/') for line in lines)
