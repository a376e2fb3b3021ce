"""The scripts that start and stop the two servers, run as a user runs them."""

import os
import random
import re
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def address() -> str:
    """A loopback address that nothing else uses."""
    return f"127.77.{random.randint(100, 250)}.{random.randint(1, 250)}"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs a script with a note folder of the test's own; stops everything afterwards."""

    def script(name: str, *argv: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        own = {"MUSTER_SERVERS_DIR": str(tmp_path / "servers"), "MUSTER_RUNTIME": "process"}
        return subprocess.run(
            [ROOT / "docker" / name, *argv],
            env={**os.environ, **own, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    yield script
    script("stop-all.sh")


def pids(tmp_path: Path) -> dict[str, int]:
    return {path.stem: int(path.read_text()) for path in tmp_path.glob("servers/*/*.pid")}


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.parametrize(
    ("script", "argv", "words"),
    [
        ("start-server1.sh", [], "usage: docker/start-server1.sh SERVER1_IP"),
        ("start-server1.sh", ["a", "b"], "usage: docker/start-server1.sh SERVER1_IP"),
        ("start-server1.sh", ["--force"], "usage: docker/start-server1.sh SERVER1_IP"),
        ("start-server2.sh", ["10.0.0.5"], "usage: docker/start-server2.sh SERVER1_IP SERVER2_IP"),
        ("start-server2.sh", ["10.0.0.5", "10.0.0.5"], "SERVER2_IP must not be SERVER1_IP"),
        ("stop-all.sh", ["server3"], "usage: docker/stop-all.sh"),
    ],
)
def test_wrong_usage_is_refused(run: Run, script: str, argv: list[str], words: str) -> None:
    """Exit code 2 and the right form, before anything is started."""
    done = run(script, *argv)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("script", ["start-server1.sh", "start-server2.sh", "stop-all.sh"])
def test_help_is_given(run: Run, script: str) -> None:
    """--help is an answer, not a mistake."""
    done = run(script, "--help")

    assert (done.returncode, done.stdout.splitlines()[0].split()[:2]) == (0, ["usage:", f"docker/{script}"])


@pytest.mark.slow
def test_both_servers_start_serve_and_stop(run: Run, tmp_path: Path, address: str) -> None:
    """When the scripts return, both models are served by both servers; a second start changes nothing."""
    other = f"{address}0" if int(address.rpartition(".")[2]) < 26 else re.sub(r"\d+$", "251", address)
    first = run("start-server1.sh", address)
    assert first.returncode == 0, first.stderr
    second = run("start-server2.sh", address, other)
    assert second.returncode == 0, second.stderr

    body = {"model": "model-1", "messages": [{"role": "user", "content": "Hello"}]}
    answers = {httpx.post(f"http://{address}:8000/v1/chat/completions", json=body).text for _ in range(4)}
    assert all(any(f"mock-service-{letter}" in answer for answer in answers) for letter in "ac"), answers
    names = {one["name"] for one in httpx.get(f"http://{address}:18000/services").json()["services"]}
    assert names == {f"babysitter-{letter}{end}" for letter in "abcd" for end in ("", "-server")}

    before = pids(tmp_path)
    again = run("start-server1.sh", address), run("start-server2.sh", address, other)
    assert [(done.returncode, "already running" in done.stdout) for done in again] == [(0, True), (0, True)]
    assert pids(tmp_path) == before
    moved = run("start-server1.sh", "127.0.0.1")
    assert moved.returncode == 1
    assert f"runs already with the address {address}; stop it first" in moved.stderr

    os.kill(before["babysitter-b"], signal.SIGKILL)
    repaired = run("start-server1.sh", address)
    assert repaired.returncode == 0, repaired.stderr
    changed = {name for name, pid in pids(tmp_path).items() if before[name] != pid}
    assert changed == {"babysitter-b"}

    assert "stopped 6 programs" in run("stop-all.sh").stdout
    assert not [name for name, pid in before.items() if runs(pid)]
    log = (tmp_path / "servers/server2/babysitter-c.log").read_text()
    assert "[babysitter-c stdout] request_id=" in log
    assert "Unregistered babysitter-c-server" in log
    nothing = run("stop-all.sh")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing was running\n")


def test_server_2_without_a_registry_says_which_url_did_not_answer(run: Run, address: str) -> None:
    """The URL and what to check, and nothing is started."""
    done = run("start-server2.sh", address, "127.0.0.2")

    assert done.returncode == 1
    assert f"http://{address}:18000/health did not answer. Check that" in done.stderr
    assert f"docker/start-server1.sh {address} there" in done.stderr


@pytest.mark.slow
def test_a_program_that_ends_is_not_waited_for(run: Run) -> None:
    """An address of another machine ends the start at once, with the program's own words."""
    done = run("start-server1.sh", "192.0.2.1")

    assert done.returncode == 1
    assert "registry has ended while it was waited for" in done.stderr
    assert "192.0.2.1 is not an address of this machine" in done.stderr


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A docker command that has the image, notes its calls, and starts the programs as processes."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "docker"
    notes = tmp_path / "docker.calls"
    command.write_text(
        f"""#!/usr/bin/env bash
echo "$*" >>{notes}
case "$1 $2" in
  "container inspect") pid=$(cat {tmp_path}/"${{@: -1}}".pid 2>/dev/null) && kill -0 "$pid" && echo true ;;
  "run --detach")
      while [[ $1 != --name ]]; do shift; done; name=$2
      while [[ $1 != muster-system:local ]]; do shift; done; shift
      {ROOT}/.venv/bin/python -m system "$@" >>{tmp_path}/"$name.log" 2>&1 & echo $! >{tmp_path}/"$name.pid" ;;
  "ps -aq") cd {tmp_path} && for file in muster-*.pid; do [[ -f $file ]] && echo "${{file%.pid}}"; done ;;
  "stop --time") shift 3; for name in "$@"; do kill "$(cat {tmp_path}/"$name.pid")"; done ;;
  "rm "*) shift; [[ $1 == -f ]] || for name in "$@"; do rm {tmp_path}/"$name.pid"; done ;;
esac
"""
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return notes


@pytest.mark.slow
def test_where_an_engine_has_the_image_containers_are_used(
    run: Run, tmp_path: Path, address: str, engine: Path
) -> None:
    """Each program is a container on the host's network, made from the image; stopping removes them all."""
    variables = {"MUSTER_RUNTIME": "auto", "PATH": f"{engine.parent / 'bin'}:{os.environ['PATH']}"}
    started = run("start-server1.sh", address, **variables)
    assert started.returncode == 0, started.stderr
    running = [call for call in engine.read_text().splitlines() if call.startswith("run ")]
    assert [re.search(r"--name (\S+)", call)[1] for call in running] == [  # type: ignore[index]
        *("muster-server1-registry", "muster-server1-router"),
        *("muster-server1-babysitter-a", "muster-server1-babysitter-b"),
    ]
    assert all("--network host" in call and "--label muster.server=server1" in call for call in running)
    assert not pids(tmp_path)

    assert "already running" in run("start-server1.sh", address, **variables).stdout
    assert "stopped 4 programs" in run("stop-all.sh", "server1", **variables).stdout
    assert not list(tmp_path.glob("muster-*.pid"))
