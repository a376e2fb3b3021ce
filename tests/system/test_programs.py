"""One command for many programs."""

from pathlib import Path

import pytest

from system.programs import main


def test_a_package_that_is_missing_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program whose extra was not installed ends with one line, not with a trace."""
    (tmp_path / "needy_program.py").write_text("import no_such_package\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert main("muster-system", "", {"gateway": "needy_program:PROGRAM"}, ["gateway"]) == 2
    said = capsys.readouterr().err
    assert said == "gateway: the package no_such_package is missing: pip install 'muster[gateway]'\n"
