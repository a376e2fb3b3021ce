"""`docker/build.sh`: images that go from one engine to another."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BUILD = Path(__file__).parents[2] / "docker" / "build.sh"


def run(*argv: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | (env or {}))


def image_id(name: str) -> str:
    return run("docker", "image", "inspect", "--format", "{{.Id}}", name).stdout.strip()


def test_saved_images_are_loaded_as_they_were(tmp_path: Path) -> None:
    """--save writes all that docker hosts need, under the names they are looked for."""
    file = tmp_path / "images.tar"
    done = run(BUILD, "redis", "--save", file)
    assert done.returncode == 0, done.stderr
    with tarfile.open(file) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        names = {name for image in json.load(manifest) for name in image["RepoTags"]}
    assert names == {"muster-system:local", "muster-sandbox:local", "muster-redis:local"}
    before = {name: image_id(name) for name in names}
    loaded = run("docker", "load", "-i", file)
    assert loaded.returncode == 0, loaded.stderr
    assert {name: image_id(name) for name in names} == before


def test_another_host_gets_the_image_by_ssh(tmp_path: Path) -> None:
    """--to HOST hands the image to `docker load` of that host."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\nshift 3\nsh -c "$*"\n')
    ssh.chmod(0o755)
    done = run(BUILD, "--to", "server2", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == "-o BatchMode=yes server2 gunzip | docker load\n"
    assert "Loaded image: muster-system:local" in done.stdout
    assert "loaded by the engine of server2" in done.stderr


@pytest.mark.parametrize("arguments", [["--sav"], ["mongo"], ["--save"]])
def test_wrong_usage_is_told(arguments: list[str]) -> None:
    """Nothing is built for a command line that is not understood."""
    done = run(BUILD, *arguments)
    assert done.returncode == 4
    assert "build.sh" in done.stderr


def test_a_host_or_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Exit code 6 and what has to work, not success."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    ssh.chmod(0o755)
    done = run(BUILD, "--to", "server2", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 6
    assert "Permission denied (publickey)." in done.stderr
    assert "'ssh server2 docker load' has to work there, without a password" in done.stderr
    done = run(BUILD, "--save", tmp_path / "nowhere" / "images.tar")
    assert done.returncode == 6
    assert "could not be saved" in done.stderr
