"""Engines that are reached by TLS or ssh: everything works as here, and what is wrong is told in words."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.containers import Containers
from harness.engine_place import LOCAL, EnginePlace
from harness.errors import EnvironmentFailure
from harness.faults.partition import Partition
from harness.hosts.docker import DockerHosts
from harness.hosts.engine import connect
from harness.journal import NAME, read_journal
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import FakeScene, service_spec, topology_of, workspace_in
from tests.docker.far_engines import (
    authority,
    engine_that_wants_tls,
    engine_with_tls,
    engine_without_tls,
    sshd,
)

pytestmark = pytest.mark.docker

SERVE = "import socket, time; s = socket.create_server(('0.0.0.0', 7000)); print('up'); time.sleep(100)"
KILLED_RUN = Path(__file__).parents[1] / "harness" / "killed_run.py"
Engine = Callable[[Path], AbstractContextManager[int]]
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make certificates with")
needs_sshd = pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs an sshd (openssh-server)")


def a_cable_is_pulled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts, a service that listens, a partition, the log; all of it through the relay, and nothing left."""
    monkeypatch.setenv("MUSTER_CONTROL", "relay")
    specs = [
        service_spec(f"on-{host}", host, command=("python3", "-S", "-u", "-c", SERVE), ready=Ready(tcp=7000))
        for host in ("server1", "server2")
    ]

    async def main() -> None:
        workspace = workspace_in(folder)
        async with (
            DockerHosts.open(topology_of(*specs), workspace) as hosts,
            hosts.service(specs[0]) as one,
            hosts.service(specs[1]) as two,
        ):
            for service in (one, two):
                await wait_ready(service, service.spec, clock=workspace.clock)
            scene = FakeScene(hosts, workspace.clock, [one, two])
            async with Partition("server1").inject(scene) as receipt:
                assert "0 of 2 probes through" in receipt.effect[1]
            await hosts.stop("on-server1")

    asyncio.run(main())
    assert (folder / "logs/server1/on-server1.log").read_text() == "up\n"
    journal = read_journal(str(folder / NAME))
    assert journal.clean
    assert Containers(LOCAL, journal.deployment).find() == []


def is_tidied_when_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness that is killed with its process group: its reaper finds its own way to the engine."""
    monkeypatch.setenv("MUSTER_CONTROL", "relay")
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, str(KILLED_RUN), str(folder), "docker"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"run\n"
        os.killpg(harness.pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while not read_journal(str(folder / NAME)).clean:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert Containers(LOCAL, read_journal(str(folder / NAME)).deployment).find() == []


@needs_openssl
def test_an_engine_behind_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates as Docker's own command line takes them; a killed run is tidied up over TLS, too."""
    certificates = authority(tmp_path / "certificates")
    with engine_with_tls(certificates) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
        (tmp_path / "run").mkdir()
        a_cable_is_pulled(tmp_path / "run", monkeypatch)
        is_tidied_when_killed(tmp_path / "killed", monkeypatch)


@needs_openssl
@pytest.mark.parametrize(
    ("environ", "engine", "why"),
    [
        ({}, engine_that_wants_tls, "it wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
        ({"DOCKER_TLS_VERIFY": "1"}, engine_without_tls, "it does not speak TLS: unset DOCKER_TLS_VERIFY"),
        (
            {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "other"},
            engine_with_tls,
            "not of the authority in DOCKER_CERT_PATH",
        ),
        (
            {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "nowhere"},
            engine_with_tls,
            "cannot be used .*set DOCKER_CERT_PATH",
        ),
        (
            {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "nobody"},
            engine_with_tls,
            "it may want to know who asks: put cert.pem",
        ),
    ],
)
def test_what_is_wrong_with_tls_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], engine: Engine, why: str
) -> None:
    """No TLS where it is wanted, or wanted where it is not; a stranger's CA; missing certificates."""
    certificates = authority(tmp_path / "certificates")
    authority(tmp_path / "other")
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    with engine(certificates) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        monkeypatch.setenv(
            "DOCKER_CERT_PATH", str(tmp_path / environ.pop("DOCKER_CERT_PATH", "certificates"))
        )
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(EnvironmentFailure, match=why):
            asyncio.run(connect())


@needs_sshd
def test_an_engine_on_a_machine_that_ssh_reaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a login without a password; a killed run leaves nothing there, nor its ssh here."""
    with sshd(tmp_path / "far") as programs:
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("DOCKER_HOST", "ssh://far")
        assert Containers(EnginePlace("ssh://far"), "nobody").find() == []
        (tmp_path / "run").mkdir()
        a_cable_is_pulled(tmp_path / "run", monkeypatch)
        is_tidied_when_killed(tmp_path / "killed", monkeypatch)
        config = str(tmp_path / "far" / "ssh_config").encode()
        left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if config in _read(p)]
        assert left == []
        asyncio.run(_is_closed())
        assert list(Path(tempfile.gettempdir()).glob("muster-engine-*")) == []


async def _is_closed() -> None:
    (await connect()).close()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@needs_sshd
def test_a_login_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of ssh, with the command that has to work."""
    with sshd(tmp_path / "far") as programs:
        (tmp_path / "far" / "authorized").write_text("")
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("DOCKER_HOST", "ssh://far")
        with pytest.raises(
            EnvironmentFailure, match=r"Permission denied .*'ssh .* far' has to work, without a"
        ):
            asyncio.run(connect())
