"""A backend's process group: started in a session of its own, stopped as a whole, never left behind.

Leaving no orphan must not depend on this process being alive: it may be killed with SIGKILL. A leash, a shell
of half a megabyte outside of both process groups, reads a pipe whose other end this process holds. The
launched shell writes its group's id there before it becomes the backend; at the end of the pipe, which comes
when this process closes it or dies, the leash kills the group. At every instant one of the two knows.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

LEASH = """
exec 3<&0
{ trap '' HUP INT TERM; read -r group && { read -r _; kill -KILL "-$group"; }; } <&3 3<&- &
"""
LAUNCH = 'echo $$ >&0 && exec "$@" </dev/null'
LONGEST_LINE = 64 * 1024
PUMPS_END_WITHIN = 1.0

Write = Callable[[str, bytes], object]  # stream's name, lines


class Child:
    """A running backend."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._gone = asyncio.Event()
        self._descriptor = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._reap)
        self.pid = process.pid

    def _reap(self) -> None:
        self._process.wait()
        self._gone.set()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    async def ended(self) -> str:
        """How it ended, in words, once it has."""
        await self._gone.wait()
        code = self._process.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    @property
    def alive(self) -> bool:
        return not self._gone.is_set()

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def stop(self, within: float) -> None:
        """Ask the group to end, then end it."""
        if self.alive:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a stopped process would not hear the request
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._gone.wait()
        self.signal(signal.SIGKILL)
        await self._gone.wait()


@asynccontextmanager
async def child_process(
    argv: Sequence[str], *, cwd: Path | None, env: Mapping[str, str], stop_within: float, write: Write
) -> AsyncIterator[Child]:
    """A process group that runs `argv`; its output's lines go to `write`, from threads."""
    held = _leash()
    pumps: list[threading.Thread] = []
    try:
        process, outputs = _launch(argv, held, cwd, env)
        pumps += [_pump(reading, name, write) for name, reading in outputs.items()]
        child = Child(process)
        try:
            yield child
        finally:
            await child.stop(stop_within)
    finally:
        os.close(held)
        await asyncio.to_thread(_join, pumps)


def _launch(
    argv: Sequence[str], held: int, cwd: Path | None, env: Mapping[str, str]
) -> "tuple[subprocess.Popen[bytes], dict[str, int]]":
    """Start the group; returns its leader and the ends of its output to read from.

    Not with the event loop's own call: uvloop leaves copies of the three streams open in the child, and with
    a copy of the leash's pipe in the group the leash would never see its end.
    """
    pipes = {"stdout": os.pipe(), "stderr": os.pipe()}
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", LAUNCH, "muster-launch", *argv],
            stdin=held,
            stdout=pipes["stdout"][1],
            stderr=pipes["stderr"][1],
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    except BaseException:
        for reading, _ in pipes.values():
            os.close(reading)
        raise
    finally:
        for _, writing in pipes.values():
            os.close(writing)
    return process, {name: reading for name, (reading, _) in pipes.items()}


def _leash() -> int:
    """Start a leash; returns the end of its pipe that must stay open as long as the group may live."""
    reading, writing = os.pipe()
    try:
        subprocess.run(
            ["/bin/sh", "-c", LEASH, "muster-leash"],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            check=True,
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return writing


def _pump(reading: int, name: str, write: Write) -> threading.Thread:
    """A thread that passes lines on: a slow reader of our output delays the backend, not our event loop."""
    thread = threading.Thread(
        target=_pass_lines, args=(reading, name, write), name=f"pump {name}", daemon=True
    )
    thread.start()
    return thread


def _pass_lines(reading: int, name: str, write: Write) -> None:
    rest = b""
    try:
        while chunk := os.read(reading, 65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                write(name, line)
            if len(rest) >= LONGEST_LINE:
                write(name, rest)
                rest = b""
    finally:
        os.close(reading)
    if rest:
        write(name, rest)


def _join(pumps: Sequence[threading.Thread]) -> None:
    for pump in pumps:
        pump.join(PUMPS_END_WITHIN)
