"""What a report of a big run costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import write_reports
from tests.histories.fleet import make_fleet

LIMIT = 10_000_000 / 10
"""A tenth of what a run of 20 hosts, 100 000 requests and 200 MB of logs may cost."""


@pytest.mark.slow
def test_the_html_report_of_a_big_run_stays_small(tmp_path: Path) -> None:
    """A tenth of the biggest run (hosts, requests, logs) stays within a tenth of its allowance."""
    make_fleet(tmp_path / "fleet", hosts=2, requests=10_000, log_bytes=20_000_000)
    path = write_reports(tmp_path, ["html"])["html"]
    assert path.stat().st_size < LIMIT
