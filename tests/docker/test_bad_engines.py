"""Engines that cannot be used, or cannot do what is asked: said in words with the next step, nothing left."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker.errors
import pytest

from harness.containers import Containers
from harness.engine_place import LOCAL
from harness.errors import EnvironmentFailure
from harness.hosts import engine as engines
from harness.hosts import network
from harness.hosts.docker import DockerHosts
from harness.hosts.engine import connect, translated
from harness.journal import NAME, read_journal
from harness.testing import service_spec, topology_of, workspace_in
from tests.docker.test_parallel import interpreter

pytestmark = pytest.mark.docker

ASK = "from harness.hosts.engine import usable; print(usable()[1])"
Answers = Callable[[bytes], None]


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Has something listen where the engine is looked for, and give the same answer to everything."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.listen()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")

    def serve(body: bytes) -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                with line, suppress(BrokenPipeError):
                    line.recv(65536)
                    line.sendall(body)

    def with_body(body: bytes) -> None:
        threading.Thread(target=serve, args=(body,), daemon=True).start()

    yield with_body
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def http(body: object) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text


def deploy(folder: Path) -> None:
    async def main() -> None:
        spec = service_spec("a", command=("sleep", "99"))
        async with DockerHosts.open(topology_of(spec), workspace_in(folder)), asyncio.timeout(0):
            await asyncio.sleep(1)

    with suppress(TimeoutError):
        asyncio.run(main())


def test_an_engine_that_is_too_old_is_told(answers: Answers) -> None:
    """Its API and the one that is needed, before anything is asked of it."""
    answers(http({"ApiVersion": "1.39"}))
    with pytest.raises(
        EnvironmentFailure, match=r"is too old \(API 1.39; 1.40 of 2019 or newer is needed\): upd"
    ):
        asyncio.run(connect())


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", http({"message": "hello"}), b""])
def test_what_is_no_engine_is_told(answers: Answers, said: bytes) -> None:
    """Something else that listens there."""
    answers(said)
    with pytest.raises(EnvironmentFailure, match=r"the Docker Engine at unix://.* does not answer as one: "):
        asyncio.run(connect())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_an_engine_that_this_user_may_not_use_is_told() -> None:
    """Who is not in its group hears of the group."""
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", interpreter(), "-c", ASK],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.strip() == (
        f"this user may not use the Docker Engine at {LOCAL.url}: join the group docker, or use --hosts process"
    ), done.stderr


def test_no_range_left_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all are taken, what could free one; the run's own things are gone."""
    monkeypatch.setattr(network, "RANGES", ["203.0.113"])
    taken = ["docker", "network", "create", "--subnet", "203.0.113.0/24", f"muster-test-{os.getpid()}"]
    subprocess.run(taken, capture_output=True, check=True)
    try:
        with pytest.raises(
            EnvironmentFailure, match=r"no range of 198.18.0.0/15 is left .*docker network prune"
        ):
            deploy(tmp_path)
        # The engine refuses it then.
        monkeypatch.setattr(network, "unrouted", lambda blocks, _: blocks)
        (tmp_path / "again").mkdir()
        with pytest.raises(EnvironmentFailure, match=r"no range of 198.18.0.0/15 is left"):
            deploy(tmp_path / "again")
    finally:
        subprocess.run(["docker", "network", "rm", taken[-1]], capture_output=True, check=True)
    assert Containers(LOCAL, read_journal(str(tmp_path / NAME)).deployment).find() == []


def test_images_that_cannot_be_built_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last words of docker/build.sh, before anything is made."""
    build = tmp_path / "build.sh"
    build.write_text("#!/bin/sh\necho 'images: no image registry answers, and this needs root' >&2\nexit 6\n")
    build.chmod(0o755)
    monkeypatch.setattr(engines, "_BUILD", build)
    why = r"the images could not be built \(docker/build.sh\): images: no image registry answers, and this needs root"
    with pytest.raises(EnvironmentFailure, match=why):
        deploy(tmp_path)
    assert not (tmp_path / NAME).exists()


def test_a_full_disk_of_the_engine_is_told() -> None:
    """Its words, and where to look."""
    error = docker.errors.APIError("", explanation="mkdir /var/lib/docker/x: no space left on device")
    assert str(translated(error)) == (
        "the container engine refused: mkdir /var/lib/docker/x: no space left on device; "
        "its disk is full: see docker system df, and docker system prune"
    )
