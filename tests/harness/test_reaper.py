"""Whatever ends the harness, nothing of its run is left, and nothing else is touched."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import cli, leftovers, processes, reaper
from harness.errors import EnvironmentFailure
from harness.guard import guarded
from harness.journal import DEPLOYMENT, NAME, RUN, Journal, read_journal
from harness.leases import ADDRESSES, DEPLOYMENTS, hold, is_held, lease_addresses

SCRIPT = Path(__file__).with_name("killed_run.py")
FAMILY = {f"sleep {n}" for n in range(71, 76)}


@contextmanager
def harness_in(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A harness that runs services and faults, in a process group of its own."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder)], stdout=subprocess.PIPE, start_new_session=True
    ) as program:
        try:
            yield program
        finally:
            program.kill()


@contextmanager
def stranger(**env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not the run's; its environment may look a little like it."""
    with subprocess.Popen(["sleep", "76"], env=env, start_new_session=True) as program:
        try:
            yield program
        finally:
            program.kill()


def deployment_of(folder: Path) -> str:
    return read_journal(str(folder / NAME)).deployment


def labelled(deployment: str) -> list[processes.Stat]:
    return processes.family([f"{DEPLOYMENT}={deployment}".encode()])


def gone_within(seconds: float, deployment: str, known: set[tuple[int, int]]) -> bool:
    """Whether all processes are gone, the reaper and its lease too, in time."""
    until = time.monotonic() + seconds
    block = deployment.rpartition("-")[0]
    while (
        labelled(deployment) or any(processes.is_alive(*each) for each in known) or is_held(ADDRESSES, block)
    ):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def journal_in(folder: Path, deployment: str, harness: tuple[int, int] = (0, 0)) -> None:
    journal = Journal(str(folder / NAME))
    journal.begin(run="r", deployment=deployment, kinds=["process"], harness=harness)
    journal.close()


def kill_at(folder: Path, seconds: float) -> None:
    with harness_in(folder) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"run\n"
        time.sleep(seconds)
        deployment = deployment_of(folder)
        known = {stat.identity for stat in labelled(deployment)}
        os.killpg(harness.pid, signal.SIGKILL)
        assert known
        assert gone_within(10, deployment, known), f"left after being killed at {seconds:.3f} s"


def test_a_killed_harness_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL to its whole process group in mid-fault: frozen, daemonised and env-less processes are gone."""
    with stranger(**{DEPLOYMENT: "127.99.9-other", RUN: "killed-run"}) as other:
        kill_at(tmp_path, 0.3)
        assert other.poll() is None
    record = json.loads((tmp_path / NAME).read_text().splitlines()[-1])
    assert record["clean"]
    assert record["left"] == []
    assert any("sleep 75" in thing for thing in record["reaped"])


@pytest.mark.slow
def test_killed_at_thirty_random_moments(tmp_path: Path) -> None:
    """From the first service on, at any moment of a run with faults, nothing is left within 10 s."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    with stranger(**{DEPLOYMENT: "127.99.9-other", RUN: "killed-run"}) as other:
        for number in range(30):
            try:
                kill_at(tmp_path / str(number), moments.uniform(0, 0.6))
            except AssertionError as error:
                error.add_note(f"seed {seed}, kill number {number}")
                raise
        assert other.poll() is None


def test_a_harness_killed_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """Between the reaper's start and the first service there is no moment without a guard."""
    for seconds in (0.12, 0.16, 0.2, 0.24):
        with harness_in(tmp_path) as harness:
            time.sleep(seconds)
            os.killpg(harness.pid, signal.SIGKILL)
        if (tmp_path / NAME).exists() and (tmp_path / NAME).stat().st_size:
            assert gone_within(10, deployment_of(tmp_path), set())
            (tmp_path / NAME).unlink()


def test_the_reaper_goes_quietly_after_a_clean_run(tmp_path: Path) -> None:
    """A clean end is journaled, the reaper ends with it and lets go of the lease."""

    async def main() -> str:
        lease = lease_addresses(1)
        async with guarded(
            tmp_path / NAME, run="r", deployment="d", kinds=["process"], leases=[lease.fileno()]
        ):
            lease.release()
            assert is_held(ADDRESSES, lease.block)
        return lease.block

    assert not is_held(ADDRESSES, asyncio.run(main()))
    assert read_journal(str(tmp_path / NAME)).clean


def test_an_error_makes_the_reaper_look_for_itself(tmp_path: Path) -> None:
    """When the deployment ends with an error, its reaper removes what that left."""

    async def main() -> None:
        async with guarded(tmp_path / NAME, run="r", deployment="127.99.8-x", kinds=["process"]):
            raise RuntimeError

    with stranger(**{DEPLOYMENT: "127.99.8-x"}) as left:
        with pytest.raises(RuntimeError):
            asyncio.run(main())
        assert left.wait(5) == -signal.SIGKILL


def test_a_reaper_that_cannot_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a reaper nothing is started, and its own words say why."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no luck today')")

    async def main() -> None:
        async with guarded(tmp_path / NAME, run="r", deployment="d", kinds=["process"]):
            raise AssertionError

    monkeypatch.setattr(reaper, "__file__", str(broken))
    with pytest.raises(EnvironmentFailure, match="did not start: no luck today"):
        asyncio.run(main())


def test_a_journaled_pid_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    """A pid alone proves nothing: only pid and start time together are the run's process."""
    with stranger() as other:
        born = processes.read_stat(other.pid)
        assert born is not None
        journal_in(tmp_path, "127.99.8-y")
        journal = read_journal(str(tmp_path / NAME))
        assert reaper.look(journal._replace(processes=((other.pid, born.born - 1),))) == []
        assert reaper.look(journal._replace(processes=((other.pid, born.born),), boot="another")) == []
        assert len(reaper.look(journal._replace(processes=((other.pid, born.born),)))) == 1


def test_reap_removes_what_a_dead_run_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`muster reap RUN_DIR` ends the processes that carry the run's label; `--dry-run` only shows them."""
    (tmp_path / "scenario").mkdir()
    journal_in(tmp_path / "scenario", "127.99.8-z")
    with stranger(**{DEPLOYMENT: "127.99.8-z"}) as left:
        assert cli.main(["reap", str(tmp_path), "--dry-run"]) == 0
        assert f"would remove pid {left.pid} (sleep 76), left by run r" in capsys.readouterr().out
        assert left.poll() is None
        assert cli.main(["reap", str(tmp_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["removed"] == [f"pid {left.pid} (sleep 76)"]
        assert left.wait(5) == -signal.SIGKILL
    assert cli.main(["reap", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "nothing was left behind\n"


def test_reap_does_not_touch_a_run_that_is_going(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal whose harness lives is refused with its pid."""
    own = processes.read_stat(os.getpid())
    assert own is not None
    journal_in(tmp_path, "127.99.8-w", own.identity)
    assert cli.main(["reap", str(tmp_path)]) == 6
    assert f"still going (pid {os.getpid()}): end it with Ctrl-C first" in capsys.readouterr().err


def test_reap_says_when_there_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a journal is named."""
    assert cli.main(["reap", str(tmp_path)]) == 6
    assert "holds no journal of a muster run" in capsys.readouterr().err


def test_what_dead_runs_left_on_the_machine_is_found_by_its_label() -> None:
    """A labelled process whose deployment nobody holds is left over; one that a run holds is not."""
    living, dead = f"living-{os.getpid()}", f"dead-{os.getpid()}"
    held = hold(DEPLOYMENTS, living)
    assert held is not None
    with held, stranger(**{DEPLOYMENT: living}), stranger(**{DEPLOYMENT: dead, RUN: "gone"}):
        found = {journal.deployment: journal.run for journal in leftovers.of_machine()}
    assert found[dead] == "gone"
    assert living not in found


def test_journals_survive_a_cut_last_line(tmp_path: Path) -> None:
    """A power cut in mid-line costs that line only; a journal without a first line is refused."""
    journal_in(tmp_path, "127.99.8-v")
    with (tmp_path / NAME).open("a") as file:
        file.write('{"pid":1,"born":2}\n{"pid":3,"bo')
    assert read_journal(str(tmp_path / NAME)).processes == ((1, 2),)
    (tmp_path / NAME).write_text("{}\n")
    with pytest.raises(ValueError, match="does not say whose journal it is"):
        read_journal(str(tmp_path / NAME))


class Late:
    """A kind of thing that comes into being when the reaper has looked a few times."""

    def __init__(self) -> None:
        self.looks = 0
        self.removed = 0

    def find(self) -> list[str]:
        self.looks += 1
        return ["late"] if self.looks > 4 and not self.removed else []

    def remove(self) -> None:
        self.removed += bool(self.looks > 4)


def test_what_an_engine_makes_late_is_removed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dead harness had asked for appears after two looks: the reaper is still there."""
    late = Late()
    monkeypatch.setattr(reaper, "KINDS", {"docker": lambda _: late})
    record = Journal(str(tmp_path / NAME))
    record.begin(run="r", deployment="d", kinds=("docker",), harness=(0, 0))
    record.close()
    assert reaper.reap(read_journal(str(tmp_path / NAME)), 5.0, settled=0.4) == (["late"], [])
