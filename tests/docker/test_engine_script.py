"""`docker/engine.sh` where no engine answers: what it says, to whom, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="only root can be somebody else, on a machine without an engine"
    ),
]

SCRIPT = Path(__file__).parents[2] / "docker" / "engine.sh"
NOBODY = (
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=-all",
    "--bounding-set=-all",
)
NO_ENGINE = (
    "unshare",
    "-m",
    "sh",
    "-c",
    'mount -t tmpfs none /run && mount -t tmpfs none /var/log && exec "$@"',
    "sh",
)
"""In mounts of its own, with no socket and no trace of an engine."""
TOOLS = (
    "bash",
    "env",
    "flock",
    "grep",
    "head",
    "id",
    "mkdir",
    "nohup",
    "rm",
    "sed",
    "setsid",
    "sh",
    "sleep",
    "stat",
    "tail",
    "timeout",
)


def asked(*prefix: str, programs: Path | None = None, check: bool = False, **environ: str) -> tuple[int, str]:
    """What it ends with and says; `programs` are all that there are."""
    path = str(programs) if programs else os.environ["PATH"]
    done = subprocess.run(
        [*prefix, "bash", SCRIPT, *(["--check"] if check else [])],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path, **environ},
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def machine(folder: Path, **programs: str) -> Path:
    """A folder of the usual tools, and of these scripts."""
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(f"/usr/bin/{name}")
    (folder / "mount").symlink_to("/usr/bin/mount")
    for name, text in programs.items():
        file = folder / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    return folder


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that others can look into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("check", [True, False])
def test_who_may_not_use_the_engine_is_told_how_to(*, check: bool) -> None:
    """Somebody who is not in the socket's group hears of the group, and nothing is installed or started."""
    code, said = asked(*NOBODY, check=check)
    assert code == 6
    assert said == (
        "engine: user nobody may not use /var/run/docker.sock; join its group: "
        "sudo usermod -aG docker nobody, and log in again"
    )


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        (
            {"DOCKER_HOST": "unix:///nowhere"},
            "nothing answers at DOCKER_HOST=unix:///nowhere; start it there, or unset",
        ),
        (
            {"DOCKER_CONTEXT": "nowhere"},
            "nothing answers at the Docker context nowhere; start it there, or unset",
        ),
    ],
)
def test_an_engine_elsewhere_is_not_replaced_by_one_here(environ: dict[str, Any], why: str) -> None:
    """Who names an engine wants that one: root, too, only hears that it does not answer."""
    code, said = asked(**environ)
    assert code == 6
    assert why in said


@pytest.mark.parametrize(
    ("user", "programs", "why"),
    [
        ((), {}, "no engine is installed; see https://docs.docker.com/engine/install/ and run this again"),
        (
            NOBODY,
            {"apt_get": "exit 1"},
            "no engine is installed; install and start one: sudo docker/engine.sh",
        ),
        (
            NOBODY,
            {"dockerd": "exit 1"},
            "an engine is installed and does not run; start it: sudo docker/engine.sh",
        ),
        (
            (),
            {"apt_get": "echo 'E: no such package'; exit 100"},
            "apt-get could not install docker.io: E: no such",
        ),
        (
            (),
            {"docker": "exit 1", "dockerd": "echo 'failed to start daemon: no cgroups'; exit 1"},
            "dockerd was started and does not answer: failed to start daemon: no cgroups (all of it: ",
        ),
    ],
)
def test_a_machine_without_an_engine_hears_what_to_do(
    everybodys: Path, user: Sequence[str], programs: dict[str, str], why: str
) -> None:
    """By whether it is Debian, whether it is root, and what went wrong."""
    tools = machine(everybodys / "bin", **programs)
    wrapped = (*NO_ENGINE, *user)
    (tools / "unshare").symlink_to("/usr/bin/unshare")
    (tools / "setpriv").symlink_to("/usr/bin/setpriv")
    code, said = asked(*wrapped, programs=tools)
    assert code == 6, said
    assert why in said
