"""Every planted bug turns exactly the right steps of its scenario red, with words that name the culprit."""

import os
import re
from importlib import import_module
from pathlib import Path

import pytest

from harness.checks import CHECKS
from mock_services.defects import DEFECTS
from tests.end_to_end.commands import TWO_SERVERS, Ended, muster_run
from tests.end_to_end.planting import TABLE, TABLES, Planted, plant, shared, table, unchanged

ROWS = table()
SHARE = os.environ.get("MUSTER_PLANTED_SHARE", "1/1")
"""Which of the planted bugs are run: all, or as `2/3` says the second third, so that CI ends in time."""
RUN = {defect: ROWS[defect] for defect in shared(list(ROWS), SHARE)}
RUN_TABLES = shared(TABLES, SHARE)
README = TABLE.parents[1] / "README.md"


def told(ended: Ended) -> str:
    """What the failing steps say, with what stands below."""
    return "\n".join(ended.steps[path].told for path in ended.having("fail"))


@pytest.mark.slow
@pytest.mark.parametrize(("defect", "row"), RUN.items(), ids=list(RUN))
def test_a_planted_bug_is_caught_by_its_step(tmp_path: Path, defect: str, row: Planted) -> None:
    """Its steps fail and say who it is; the others that were judged pass."""
    ended = muster_run(plant(tmp_path, defect, row), tmp_path / "runs")

    assert ended.code == 1, ended.output
    assert ended.having("fail") == list(row.caught_in), ended.output
    assert [word for word in row.says if word not in told(ended)] == [], told(ended)


@pytest.mark.slow
@pytest.mark.parametrize("table", RUN_TABLES, ids=[table.stem for table in RUN_TABLES])
def test_with_nothing_planted_the_same_steps_pass(tmp_path: Path, table: Path) -> None:
    """The positive control: what fails above fails because of what was planted."""
    rows = [row for row in ROWS.values() if row.table == table]
    ended = muster_run(
        unchanged(tmp_path, sorted({step for row in rows for step in row.steps}), table), tmp_path / "runs"
    )

    assert ended.code == 0, ended.output
    assert set(ended.having("pass")) >= {path for row in rows for path in row.caught_in}


@pytest.mark.slow
def test_a_small_bias_is_found_where_it_is_looked_for(tmp_path: Path) -> None:
    """60 to 40 instead of 50 to 50 is seen with `detect: 10%`, and the shares are named."""
    row = Planted(
        instead_of="router",
        options=("--bias", "0.6"),
        steps=("{model} is shared evenly by the services that have it",),
        caught_in=ROWS["router_biased"].caught_in,
    )
    ended = muster_run(plant(tmp_path, "router_biased", row, detect="10%"), tmp_path / "runs")

    assert ended.having("fail") == list(row.caught_in), ended.output
    assert re.search(r"babysitter-a-server[^;]*\b(5[6-9]|6[0-4])\b", told(ended)), told(ended)


def test_every_planted_bug_is_in_one_share() -> None:
    """A share is a part of the whole, and all of them are the whole."""
    shares = [shared(list(ROWS), f"{which}/3") for which in (1, 2, 3)]
    assert sorted(name for share in shares for name in share) == sorted(ROWS)
    assert shared(list(ROWS), "1/1") == list(ROWS)


def test_every_check_that_is_shipped_has_a_bug_that_it_catches() -> None:
    """The table names each check at least once, and every defective build is in the table."""
    missing = set(DEFECTS) ^ set(ROWS)
    assert not missing, f"in mock_services/defects or in {TABLE.parent.name}, but not in both: {missing}"
    caught = {check for name in DEFECTS for check in re.findall(r"caught by check `(\w+)`", said_by(name))}
    used = set(re.findall(rf"\b({'|'.join(CHECKS)})\b", TWO_SERVERS.read_text()))
    assert used <= caught


@pytest.mark.parametrize("defect", ROWS)
def test_a_defect_says_what_must_catch_it(defect: str) -> None:
    """The docstring of the build names a step that the table names."""
    said = said_by(defect)
    assert any(path in said for path in ROWS[defect].caught_in), said


@pytest.mark.parametrize("defect", ROWS)
def test_the_track_record_is_complete(defect: str) -> None:
    """Each planted bug has its row in scenarios/README.md: what it is and which step turns red."""
    [row] = [line for line in README.read_text().splitlines() if line.endswith(f"| `{defect}` |")]
    assert ROWS[defect].caught_in[0] in row


def said_by(defect: str) -> str:
    """What a defective build says of itself, on one line."""
    return " ".join((import_module(f"mock_services.defects.{defect}").__doc__ or "").split())
