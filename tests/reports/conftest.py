"""What all tests of reports need."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_ci_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """When CI runs these tests, their made-up failures stay off the page of its job."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
