"""Deployments that stand, seen from another terminal."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import ScenarioError
from harness.events import FaultProven, ServiceExited, ServiceReady, ServiceStarting
from harness.history import History
from harness.standing import NAME, choose, find_standing
from harness.states import states
from harness.testing import FakeClock

TOPOLOGY = """
hosts:
  one:
    mock: {kind: mock-openai, port: 8100, models: [model-1]}
"""


@contextmanager
def up(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`muster up` of one mock, running; killed at the end if it still lives."""
    (folder / "small.yaml").write_text(TOPOLOGY)
    command = [sys.executable, "-m", "harness", "up", "small.yaml"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"up: "):
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_standing_deployment_is_found_questioned_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ps, logs, shell and down find what `muster up` holds, by its run directory alone."""
    monkeypatch.chdir(tmp_path)
    with up(tmp_path) as process:
        assert main(["ps"]) == 0
        assert main(["logs", "mock"]) == 0
        said = capsys.readouterr().out
        assert "mock" in said
        assert "ready" in said
        assert main(["shell", "mock", "test -n $URL"]) == 0
        assert main(["down"]) == 0
        assert process.wait(10) == 0
    assert find_standing(Path("artifacts")) == []


def test_a_killed_harness_leaves_nothing_standing(tmp_path: Path) -> None:
    """The lock goes with the process; its file alone says nothing."""
    with up(tmp_path) as process:
        (found,) = find_standing(tmp_path / "artifacts")
        assert found.pid == process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        assert (found.run.directory.path / NAME).exists()
        assert find_standing(tmp_path / "artifacts") == []
        _until_gone(found.run.manifest.services[0].url)


def _until_gone(url: str) -> None:
    port = url.rpartition(":")[2]
    address = url.removeprefix("http://").partition(":")[0]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            asyncio.run(_connect(address, int(port)))
        except OSError:
            return
    pytest.fail(f"{url} still answers")


async def _connect(address: str, port: int) -> None:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()


def test_asking_where_nothing_stands_says_what_to_do(tmp_path: Path) -> None:
    """No deployment, no guess."""
    with pytest.raises(ScenarioError, match="muster up FILE"):
        choose(tmp_path, "")


def test_states_follow_the_history() -> None:
    """Starting, ready, paused by a fault, died."""

    async def main() -> list[str]:
        history = History(FakeClock())
        seen = []
        for event in (
            ServiceStarting(service="a", host="one"),
            ServiceReady(service="a", host="one", after=0.1, by="http", url="http://x"),
            FaultProven(fault="fault1", what="pause", target="one", after=0.1, receipt=()),
            ServiceExited(service="a", host="one", code=1),
        ):
            history.append(event)
            seen.append(states(history.records)["a"].state)
        return seen

    assert asyncio.run(main()) == ["starting", "ready", "paused", "died"]
