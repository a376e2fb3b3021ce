"""An engine that stops answering in the middle: said at once, tidied up as soon as it is back."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, socket

import pytest

from harness.containers import Containers
from harness.engine_place import LOCAL
from harness.errors import EnvironmentFailure
from harness.events import Note
from harness.history import of
from harness.hosts import docker as docker_hosts
from harness.hosts.docker import DockerHosts
from harness.journal import NAME, read_journal
from harness.model import Ready
from harness.readiness import wait_ready
from harness.testing import service_spec, topology_of, workspace_in

pytestmark = pytest.mark.docker


class Way:
    """A unix socket that leads to the engine, while it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[socket] = []

    def open(self) -> None:
        self._path.unlink(missing_ok=True)
        listener = socket(AF_UNIX)
        listener.bind(str(self._path))
        listener.listen(64)
        self._open = [listener]
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        for each in self._open:
            with suppress(OSError):
                each.shutdown(SHUT_RDWR)
            each.close()

    def _serve(self, listener: socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket(AF_UNIX)
                far.connect(LOCAL.socket_path)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket, other: socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(SHUT_RDWR)


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    found = Way(tmp_path / "engine.sock")
    found.open()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    yield found
    found.close()


# The SDK leaves sockets whose connection was refused to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_engine_is_said_and_its_containers_go_when_it_is_back(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs the engine fails in words, nothing hangs, and the reaper waits for its return."""
    monkeypatch.setattr(docker_hosts, "_KILL_WITHIN", 0.5)
    workspace = workspace_in(tmp_path)
    spec = service_spec("a", command=("sh", "-c", "echo up; sleep 91"), ready=Ready(log="up"))

    async def main() -> None:
        async with DockerHosts.open(topology_of(spec), workspace) as hosts, hosts.service(spec) as service:
            await wait_ready(service, spec, clock=workspace.clock)
            way.close()
            with pytest.raises(EnvironmentFailure, match="does not answer any more"):
                await asyncio.wait_for(service.exited(), 5)
            assert not service.alive

    with pytest.raises(EnvironmentFailure, match=r"does not answer any more|the reaper goes on trying"):
        asyncio.run(main())
    notes = [event.text for _, event in of(workspace.history.records, Note)]
    assert notes == ["the container engine does not answer any more"]
    engine = Containers(LOCAL, read_journal(str(tmp_path / NAME)).deployment)
    assert len(engine.find()) >= 2
    way.open()
    until = time.monotonic() + 15
    while engine.find() or not read_journal(str(tmp_path / NAME)).clean:
        assert time.monotonic() < until
        time.sleep(0.05)
    gc.collect()
