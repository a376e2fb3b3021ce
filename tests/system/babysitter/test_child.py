"""A backend's process group: its output, its end."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from system.babysitter.child import LONGEST_LINE, Child, child_process

Lines = list[tuple[str, bytes]]


def run(
    script: str, meanwhile: Callable[[Child], Awaitable[str]], write: Callable[[str, bytes], object]
) -> str:
    async def main() -> str:
        argv = ("/bin/sh", "-c", script)
        async with child_process(argv, cwd=None, env=os.environ, stop_within=2, write=write) as child:
            async with asyncio.timeout(10):
                return await meanwhile(child)

    return asyncio.run(main())


def ended(child: Child) -> Awaitable[str]:
    return child.ended()


@pytest.mark.parametrize(
    ("script", "words"),
    [("exit 0", "exit code 0"), ("exit 7", "exit code 7"), ("kill -SEGV $$", "killed by SIGSEGV")],
)
def test_the_end_is_told_in_words(script: str, words: str) -> None:
    """An exit code or the signal's name."""
    assert run(script, ended, lambda *_: None) == words


def test_every_line_of_both_streams_is_passed_on() -> None:
    """Thousands of lines, an unfinished last one and bytes that are no text arrive unchanged, in order."""
    lines: Lines = []
    script = (
        r"i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf '\377\000end'; echo err >&2"
    )
    run(script, ended, lambda stream, line: lines.append((stream, line)))

    out = [line for stream, line in lines if stream == "stdout"]
    assert out == [*(b"line %d" % number for number in range(3000)), b"\xff\x00end"]
    assert [line for stream, line in lines if stream == "stderr"] == [b"err"]


def test_a_line_without_an_end_is_passed_on_in_pieces() -> None:
    """A line longer than the buffer is cut into lines, and none of it is lost."""
    pieces: list[bytes] = []
    size = 5 * LONGEST_LINE + 17
    run(f"head -c {size} /dev/zero", ended, lambda _, line: pieces.append(line))

    assert b"".join(pieces) == bytes(size)
    assert len(pieces) > 1


def test_a_blocked_reader_of_our_output_does_not_block_us() -> None:
    """While nobody takes the lines, the event loop goes on and the child can be stopped."""
    unblock = threading.Event()

    async def meanwhile(child: Child) -> str:
        await asyncio.sleep(0)
        await child.stop(within=1)
        unblock.set()
        return await child.ended()

    assert run("while :; do echo line; done", meanwhile, lambda *_: unblock.wait(10)).startswith("killed by")


def test_leaving_ends_the_group_though_its_leader_ended_before() -> None:
    """Members of the group that outlived the leader are gone after the context."""
    pids: list[bytes] = []
    run("sleep 1000 & echo $!", ended, lambda _, line: pids.append(line))

    status = Path(f"/proc/{int(pids[0])}/stat")
    deadline = time.monotonic() + 3
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "still runs"
