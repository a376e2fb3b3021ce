"""The examples work as they stand."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_python_example_passes(tmp_path: Path) -> None:
    """`pytest examples/python_api` brings two servers up twice disturbed, and passes."""
    command = [sys.executable, "-m", "pytest", "-q", "examples/python_api", "--run-dir", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout
