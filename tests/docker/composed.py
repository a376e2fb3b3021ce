"""docker-compose for tests: one project of some of this repository's files, brought up and taken away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"


@dataclass(frozen=True)
class Compose:
    """docker-compose for one project."""

    project: str
    files: tuple[str, ...]
    env: Mapping[str, str]

    def __call__(self, *words: str) -> str:
        """What a command prints; AssertionError with all of it where it fails."""
        old, new = shutil.which("docker-compose"), ["docker", "compose"]
        files = [word for name in self.files for word in ("-f", str(DOCKER / name))]
        argv = [*([old] if old else new), "-p", self.project, *files, *words]
        env = {**os.environ, "REDIS_IMAGE": "muster-redis:local", **self.env}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def url(self, service: str, port: int) -> str:
        return f"http://{self('port', service, str(port))}"


@contextmanager
def composed(*files: str, **env: str) -> Iterator[Compose]:
    """Up, on images that are built here; down again with its volumes. Skipped where there is no docker-compose."""
    if (
        not shutil.which("docker-compose")
        and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker-compose is not installed here (apt-get install docker-compose)")
    subprocess.run([DOCKER / "build.sh", "redis"], check=True, capture_output=True, timeout=300)
    started = Compose(f"muster-test-{uuid.uuid4().hex[:8]}", files, env)
    try:
        started("up", "-d")
        yield started
    finally:
        print(started("logs", "--no-color"))
        started("down", "-v", "--remove-orphans")


def until(holds: Callable[[], bool], within: float = 30.0) -> None:
    """Wait for something that happens in a container."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
