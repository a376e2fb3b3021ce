"""`muster report`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from harness.cli import report
from tests.reports.runs import copy_of


def muster(*words: str) -> int:
    parser = argparse.ArgumentParser()
    report.add(parser.add_subparsers())
    args = parser.parse_args(["report", *words])
    return int(args.run(args))


def test_it_writes_the_reports_of_an_aborted_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reports of a run that was cut short are written, and their places said."""
    run = copy_of("cut_short", tmp_path)
    assert muster(str(run)) == 0
    assert (run / "junit.xml").exists()
    assert f"junit     {run}/junit.xml" in capsys.readouterr().out


def test_it_writes_only_what_was_asked_for(tmp_path: Path) -> None:
    """`--report NAME=PATH` writes that one, there."""
    run = copy_of("passed", tmp_path)
    assert muster(str(run), "--report", f"json={tmp_path}/j.json") == 0
    assert (tmp_path / "j.json").exists()
    assert not (run / "junit.xml").exists()


def test_it_prints_the_console_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--report console` shows the failing steps."""
    muster(str(copy_of("failed", tmp_path)), "--report", "console")
    assert "its services are forgotten   FAILED after 8.00 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 4, "there is no run directory nowhere"),
        (["."], 6, "holds no muster run"),
        ([".", "--report", "htlm"], 4, "no report is called 'htlm'"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong directory or name is said in one line on standard error."""
    monkeypatch.chdir(tmp_path)
    assert muster(*words) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
