"""The checkout that the tests of the scripts run in."""

import shutil
from pathlib import Path

import pytest

from tests.scripts.checkout import FAKE_PYTHON, ROOT, Checkout, environment_of, program


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout in a folder with a space in its name."""
    root = tmp_path / "my checkout"
    for name in ("pyproject.toml", "constraints.txt", "validate.sh"):
        root.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"):
        program(tmp_path / "bin" / name, FAKE_PYTHON)
    return Checkout(root, environment_of(tmp_path), cwd=tmp_path)
