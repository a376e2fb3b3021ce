"""The console without a terminal, and with one."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from system.testing import Running, running

HOST = "127.77.20.3"
BALANCER = ["system", "balancer", "--host", HOST, "--port", "0", "--grpc-only", "--console"]


def played(said: str, *options: str) -> tuple[int, str]:
    """The exit code and output of a console whose input is this."""
    done = subprocess.run(
        [sys.executable, "-m", *BALANCER, *options],
        input=said,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("end", ["quit\n", "", "EXIT\nnever read\n"])
def test_the_end_of_input_is_a_clean_exit(end: str) -> None:
    """As `quit` is; what stands before it is done, what cannot be done is said."""
    code, output = played(f"\nhelp\nstats\nreassign\ncapital of France?\n{end}")
    assert code == 0
    assert "a question for all nodes, or: stats, reassign, help, quit" in output
    assert "no node is connected" in output
    assert "❌ No clients connected\n" in output
    assert "❌ No clients connected. Please connect clients first." in output
    assert "never read" not in output


def test_a_gRPC_half_that_is_not_there_is_said() -> None:  # noqa: N802 - that is its name
    """And the console goes on."""
    code, output = played("stats\n", "--no-grpc-only", "--http-only", "--http-port", "0", "--database", ":memory:", "--grpc-target", f"{HOST}:1")  # fmt: skip
    assert code == 0
    assert f"❌ {HOST}:1: UNAVAILABLE" in output


@contextmanager
def at_a_terminal(home: str) -> Iterator[tuple[Running, int]]:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", *BALANCER], stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "HOME": home, "TERM": "xterm"},
    )  # fmt: skip
    os.close(follower)
    program = Running(process)
    try:
        yield program, leader
    finally:
        process.kill()
        program.wait()
        os.close(leader)


@pytest.mark.slow
def test_at_a_terminal_there_is_a_prompt_and_a_history(tmp_path: Path) -> None:
    """Control-D leaves; what was typed is known the next time."""
    with at_a_terminal(str(tmp_path)) as (program, keys):
        program.wait_for_line("ready on")
        deadline = time.monotonic() + 10
        os.write(keys, b"help\r")
        while "a question for all nodes" not in program.output and time.monotonic() < deadline:
            time.sleep(0.05)
        os.write(keys, b"\x04")
        assert program.wait() == 0
    assert "+help" in (tmp_path / ".muster-balancer-history").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_question_shows_the_answer() -> None:
    """With a node, over the console's own line."""
    with running(*BALANCER[:4], "--port", "50077", "--grpc-only") as program:
        address = program.url.partition("://")[2]
        node = ("system", "node", "--host", HOST, "--port", "0", "--server", address, "--engine", "mock")
        with running(*node) as joined:
            joined.wait_for_line("Ready to receive")
            code, output = played(
                "hello\nstats\n", "--no-grpc-only", "--http-only", "--http-port", "0", "--database", ":memory:", "--grpc-target", address
            )  # fmt: skip
    assert code == 0
    assert "says: hello" in output
    assert "PROCESSING_DETAILS_START" in output
