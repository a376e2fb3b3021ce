"""The way to an engine on another machine, by ssh: its socket as one of ours, while the harness lives."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.engine_place import EnginePlace
from harness.errors import EnvironmentFailure

_WITHIN = 30.0
_READY = b"ready"
_PREFIX = "muster-engine-"
_NEAR = "engine.sock"
_ERRORS = "errors"


class Tunnel:
    """A running `ssh`; `place` is the near end. It ends with the harness: over there `cat` reads from us."""

    def __init__(self, place: EnginePlace, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.place = place
        self._folder = folder
        self._process = process

    @classmethod
    async def open(cls, engine: EnginePlace) -> Tunnel:
        """Log in, with keys that are there; EnvironmentFailure in the words of ssh."""
        _forget_dead_ones()
        tunnel = cls._start(engine)
        if why := await tunnel.until_ready():
            tunnel.close()
            login = " ".join(engine.ssh())
            msg = (
                f"no Docker Engine answers at {engine.url} ({why}): '{login}' has to work, without a password"
            )
            raise EnvironmentFailure(msg)
        return tunnel

    @classmethod
    def _start(cls, engine: EnginePlace) -> Tunnel:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        near = folder / _NEAR
        forward = f"{near}:{engine.socket_path}"
        command = [
            *engine.ssh("-o", "ExitOnForwardFailure=yes", "-L", forward),
            f"echo {_READY.decode()}; exec cat",
        ]
        try:
            with (folder / _ERRORS).open("wb") as errors:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is for the harness, which needs the engine to tidy up
                )
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            msg = f"no Docker Engine answers at {engine.url} (ssh: {error.strerror}): install openssh-client"
            raise EnvironmentFailure(msg) from error
        return cls(EnginePlace(f"unix://{near}"), folder, process)

    async def until_ready(self) -> str:
        """Why it does not work; empty when it does."""
        looking = asyncio.create_task(asyncio.to_thread(self._is_ready))
        await asyncio.wait([looking], timeout=_WITHIN)
        if not looking.done():
            self._process.kill()
        if await looking:
            return ""
        said = (self._folder / _ERRORS).read_text(errors="replace").strip()
        return said.rpartition("\n")[2] or f"ssh was not through after {_WITHIN:g} s"

    def _is_ready(self) -> bool:
        out = self._process.stdout
        assert out is not None
        return any(line.strip() == _READY for line in out)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            if end is not None:
                end.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _forget_dead_ones() -> None:
    """Remove what tunnels of killed harnesses left: a folder with a socket that nobody listens at."""
    for near in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_NEAR}"):
        try:
            EnginePlace(f"unix://{near}").try_it()
        except ConnectionRefusedError:
            shutil.rmtree(near.parent, ignore_errors=True)
        except OSError:
            continue  # somebody else's
