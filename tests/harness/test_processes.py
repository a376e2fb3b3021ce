"""Who belongs to whom, and signals that cannot hit a stranger."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness import processes

LABEL = b"MUSTER_DEPLOYMENT=test-processes"


@contextmanager
def shell(script: str, *, labelled: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A shell in a session of its own that carries the label."""
    env = {"PATH": os.environ["PATH"]}
    if labelled:
        name, _, value = LABEL.decode().partition("=")
        env[name] = value
    with subprocess.Popen(["sh", "-c", script], env=env, start_new_session=True) as program:
        try:
            yield program
        finally:
            for stat in processes.family([LABEL]):
                os.kill(stat.pid, signal.SIGKILL)
            program.kill()


def identity_of(pid: int) -> tuple[int, int]:
    stat = processes.read_stat(pid)
    assert stat is not None
    return stat.identity


def commands(*roots: tuple[int, int], label: bytes = LABEL) -> set[str]:
    return {processes.command(stat.pid) for stat in processes.family([label], roots)}


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_label_finds_daemons_that_left_session_and_parent() -> None:
    """A process that carries the label belongs, wherever it went."""
    with shell("setsid sh -c 'sleep 41 & exec sleep 42' & exec sleep 43"):
        eventually(lambda: commands() == {"sleep 41", "sleep 42", "sleep 43"})


def test_descendants_belong_without_the_label() -> None:
    """A child with an environment and a session of its own belongs while its parents live."""
    with shell("env -i setsid sh -c 'sleep 44 & wait' & exec sleep 45"):
        eventually(lambda: {"sleep 44", "sleep 45"} <= commands())


def test_a_session_belongs_without_label_and_parent() -> None:
    """An orphan with an environment of its own belongs to the session of a process that was known."""
    with shell("(env -i sleep 46 &) ; exec sleep 47", labelled=False) as program:
        root = identity_of(program.pid)
        eventually(lambda: commands(root) == {"sleep 46", "sleep 47"})
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        eventually(lambda: commands(root) == {"sleep 46"})
        for stat in processes.family([LABEL], [root]):
            os.kill(stat.pid, signal.SIGKILL)


def test_a_label_that_is_only_like_it_does_not_count() -> None:
    """Neither a longer value nor a longer name is the label."""
    with shell("exec sleep 48") as program:
        eventually(lambda: commands() == {"sleep 48"})
        assert not processes.carries(program.pid, [LABEL[:-1]])
        assert not processes.carries(program.pid, [LABEL[1:]])
        assert processes.environment_value(program.pid, b"MUSTER_DEPLOYMENT") == b"test-processes"


def test_a_signal_reaches_only_the_process_that_was_meant() -> None:
    """With another start time the pid is a stranger's: nothing is sent."""
    with shell("exec sleep 49") as program:
        pid, born = identity_of(program.pid)
        assert not processes.is_alive(pid, born - 1)
        assert not processes.send_signal(pid, born - 1, signal.SIGKILL)
        assert program.poll() is None
        assert processes.send_signal(pid, born, signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL
        assert not processes.send_signal(pid, born, signal.SIGKILL)


def test_a_zombie_does_not_live() -> None:
    """What is left of a process until its parent takes note is not alive."""
    with shell("exec sleep 50") as program:
        pid, born = identity_of(program.pid)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not processes.is_alive(pid, born))
        stat = processes.read_stat(pid)
        assert stat is not None
        assert stat.state == "Z"
        program.wait()
