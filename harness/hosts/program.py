"""One start of a service's program as a local process group: from its exec to its end. Linux only."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import processes
from harness.errors import EnvironmentFailure
from harness.hosts.base import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is needed to start a program; `command[0]` is looked up in the PATH of `env`."""

    service: str
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    log: Path


class Program:
    """A running (or ended) main process. `expected`: the harness has asked for its end."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        stat = processes.read_stat(popen.pid)
        self.pid = popen.pid
        self.born = stat.born if stat else 0
        self.expected = False
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._popen = popen

    @property
    def identity(self) -> tuple[int, int]:
        """Pid and birth."""
        return self.pid, self.born

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """Call `on_exit` the moment the process ends, then complete `ended`."""
        loop = asyncio.get_running_loop()
        handle = os.pidfd_open(self.pid)

        def gone() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            exit_ = exit_of(self._popen.wait())
            try:
                on_exit(exit_)
            finally:
                self.ended.set_result(exit_)

        loop.add_reader(handle, gone)

    def ask_to_end(self) -> None:
        """SIGTERM to its process group, which is woken in case it is paused."""
        self.expected = True
        if self.ended.done():
            return
        for number in (signal.SIGTERM, signal.SIGCONT):
            try:
                os.killpg(self.pid, number)  # cannot hit a stranger: unwaited-for, the pid is still taken
            except ProcessLookupError:
                return


def start_program(start: Start) -> Program:
    """Start it in a session of its own, all it prints going to the end of the log."""
    try:
        with start.log.open("ab") as log:
            popen = subprocess.Popen(
                list(start.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=start.folder,
                env=dict(start.env),
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(_cannot_start(start, error)) from error
    return Program(popen)


def _cannot_start(start: Start, error: Exception) -> str:
    program = start.command[0]
    if isinstance(error, FileNotFoundError) and error.filename == os.fspath(start.folder):
        return f"{start.service} cannot start: its folder {start.folder} is gone"
    if isinstance(error, FileNotFoundError):
        path = start.env.get("PATH", "")
        return f"{start.service} cannot start: there is no program '{program}' (PATH: {path})"
    if isinstance(error, PermissionError):
        return f"{start.service} cannot start: '{program}' is not executable"
    reason = getattr(error, "strerror", None) or error
    return f"{start.service} cannot start '{program}': {reason}"


def exit_of(returncode: int) -> Exit:
    """What a return code of `subprocess` means."""
    if returncode >= 0:
        return Exit(code=returncode)
    try:
        return Exit(code=None, signal=signal.Signals(-returncode).name)
    except ValueError:
        return Exit(code=None, signal=f"signal {-returncode}")
