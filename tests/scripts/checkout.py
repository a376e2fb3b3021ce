"""A checkout with only the scripts in it, and a Python that makes environments without doing the work."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Stands in for python3 and for the Python inside .venv. It notes what was asked of it, and does as FAKE_* say.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo "${FAKE_FACTS:-3.11 True True}"; exit ;;
    "--version") echo "Python ${FAKE_FACTS%% *}.0"; exit ;;
    "-m venv"*) for venv; do :; done
        echo "venv" >>"$FAKE_LOG"
        if [ "$FAKE_VENV_FAILS" ]; then echo "$FAKE_VENV_FAILS"; exit 1; fi
        rm -rf "$venv"; mkdir -p "$venv/bin"; cp "$0" "$venv/bin/python"; echo "$venv" >"$venv/bin/activate"; exit ;;
    "-m pip --version") exit ;;
    "-m pip install"*) for what; do :; done
        echo "pip $what" >>"$FAKE_LOG"
        if [ "$FAKE_PIP_FAILS" ]; then echo "$FAKE_PIP_FAILS"; exit 1; fi
        [ -z "$FAKE_GATE" ] || read -r _ <"$FAKE_GATE" || true
        exit 0 ;;
    "-m "*)
        echo "$*" >>"$FAKE_LOG"
        case "$*" in *"${FAKE_FAILS:-nothing fails}"*) exit "${FAKE_CODE:-3}" ;; esac
        exit ;;
esac
exec "$REAL_PYTHON" "$@"
"""


@dataclass
class Checkout:
    """A folder whose scripts can be run as a user would, in an environment of its own."""

    root: Path
    environment: dict[str, str]
    cwd: Path

    def run(self, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the checkout to its end."""
        return subprocess.run(
            [self.root / command, *arguments],
            cwd=self.cwd,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, command: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / command, *arguments],
            cwd=self.cwd,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def asked(self) -> list[str]:
        """What the Python was asked to make, in order."""
        log = Path(self.environment["FAKE_LOG"])
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def environment_of(tmp_path: Path, real: Mapping[str, str] = os.environ) -> dict[str, str]:
    kept = {name: real[name] for name in ("HOME", "LANG") if name in real}
    return kept | {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "REAL_PYTHON": sys.executable,
        "FAKE_LOG": str(tmp_path / "asked"),
    }
