"""Stored runs as the tests of reports want them."""

from __future__ import annotations

import shutil
from pathlib import Path

STORED = Path(__file__).parent.parent / "histories"


def copy_of(name: str, tmp_path: Path) -> Path:
    """A copy of a stored run in which reports may be written."""
    return shutil.copytree(STORED / name, tmp_path / name)
