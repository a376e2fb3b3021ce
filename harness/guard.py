"""The harness's side of the reaper: journal and reaper exist before anything else does, and end last."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness import processes, reaper
from harness.errors import EnvironmentFailure, HarnessBug
from harness.journal import Journal
from harness.leases import DEPLOYMENTS, hold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from harness.engine_place import EnginePlace

_START_WITHIN = 20.0
_END_WITHIN = 5.0
_PASSED_ON = ("HOME", "PATH", "SSH_AUTH_SOCK")
"""What the reaper may need to log in where an engine is."""


@asynccontextmanager
async def guarded(
    path: Path,
    *,
    run: str,
    deployment: str,
    kinds: Sequence[str],
    leases: Sequence[int] = (),
    engine: EnginePlace | None = None,
) -> AsyncIterator[Journal]:
    """Journal a deployment at `path`, with a reaper on watch that also holds the descriptors `leases`.

    The deployment's name is held until both have ended: until then nobody takes what it owns for left behind.
    Leaving without an exception says that nothing is left; with one, the reaper has a look of its own.
    """
    name = hold(DEPLOYMENTS, deployment)
    if name is None:
        msg = f"two deployments are called {deployment}"
        raise HarnessBug(msg)
    with name:
        journal = _begin(path, run, deployment, kinds, engine)
        tie, program = _start(path, [*leases, name.fileno()])
        try:
            await _until_ready(tie, program)
            yield journal
            journal.note({"clean": True})
            tie.send(reaper.DONE)
        finally:
            tie.close()
            journal.close()
            await asyncio.to_thread(_see_off, program)


def _begin(
    path: Path, run: str, deployment: str, kinds: Sequence[str], engine: EnginePlace | None
) -> Journal:
    own = processes.read_stat(os.getpid())
    try:
        journal = Journal(os.fspath(path))
        journal.begin(
            run=run,
            deployment=deployment,
            kinds=kinds,
            harness=(os.getpid(), own.born if own else 0),
            engine=engine,
        )
    except OSError as error:
        msg = (
            f"cannot write the journal {path}: {error.strerror}; free some space or choose another --run-dir"
        )
        raise EnvironmentFailure(msg) from error
    return journal


def _start(path: Path, leases: Sequence[int]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    with theirs:
        program = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, os.fspath(path.absolute()), str(os.getpid())],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=theirs.fileno(),
            pass_fds=tuple(leases),
            start_new_session=True,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            cwd="/",
        )
    ours.settimeout(0)
    return ours, program


async def _until_ready(tie: socket.socket, program: subprocess.Popen[bytes]) -> None:
    try:
        async with asyncio.timeout(_START_WITHIN):
            said = await asyncio.get_running_loop().sock_recv(tie, 4096)
    except TimeoutError:
        program.kill()
        said = b"nothing was heard of it"
    if said != reaper.READY:
        msg = f"the reaper, which cleans up should muster be killed, did not start: {said.decode().strip()}"
        raise EnvironmentFailure(msg)


def _see_off(program: subprocess.Popen[bytes]) -> None:
    try:
        program.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        program.returncode = 0  # it goes on by itself, on what resists; not ours to wait for
