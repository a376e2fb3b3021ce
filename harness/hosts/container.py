"""A service as a container that joins its host's sandbox: created once, started again as often as needed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EnvironmentFailure, HarnessBug
from harness.hosts.attachment import Attachment
from harness.hosts.base import Exit
from harness.hosts.engine import LOST
from harness.hosts.sandbox import tar_of

if TYPE_CHECKING:
    from harness.hosts.engine import Engine
    from harness.hosts.sandbox import Sandbox
    from harness.model import ServiceSpec

HOME = "srv/muster"
_LAST_WORDS_WITHIN = 2.0


class ContainerService:
    """A service; each start has an end of its own. `expected`: the harness has asked for it."""

    def __init__(self, spec: ServiceSpec, sandbox: Sandbox, log: Path) -> None:
        self.spec = spec
        self.sandbox = sandbox
        self.address = sandbox.address
        self.log: Path | None = log
        self.log_from = 0
        self.container = ""
        self.expected = False
        self._ended: asyncio.Future[Exit] | None = None
        self._logging: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._ended is not None and not self._ended.done()

    async def exited(self) -> Exit:
        if self._ended is None:
            msg = f"{self.spec.name} was waited for before it was started"
            raise HarnessBug(msg)
        return await asyncio.shield(self._ended)

    async def create(
        self,
        engine: Engine,
        *,
        image: str,
        name: str,
        env: Mapping[str, str],
        labels: Mapping[str, str],
        root: Path,
    ) -> None:
        """Create the container, its files in it."""
        spec, api = self.spec, engine.api
        command, files = self._command_and_files(root)
        join = f"container:{self.sandbox.container}"
        made = await engine.call(
            api.create_container,
            image,
            command or None,
            name=name,
            environment=dict(env),
            labels=dict(labels),
            working_dir=f"/{HOME}/{spec.name}",
            host_config=api.create_host_config(network_mode=join, pid_mode=join, **limits(spec)),
        )
        self.container = made["Id"]
        if files:
            await engine.call(api.put_archive, self.container, "/", tar_of(files))

    async def start(self, engine: Engine) -> None:
        """Start it; everything it prints goes to the end of the log."""
        log = self.log
        assert log is not None
        self.log_from = log.stat().st_size if log.exists() else 0
        line = await Attachment.open(engine, self.container)
        self._logging = asyncio.create_task(_copy(line, log), name=f"log of {self.spec.name}")
        self.expected = False
        self._ended = asyncio.get_running_loop().create_future()
        try:
            await engine.call(engine.api.start, self.container)
        except EnvironmentFailure as error:
            self._ended.set_result(Exit(code=None))
            self._logging.cancel()
            msg = f"{self.spec.name} cannot start: {error}"
            raise EnvironmentFailure(msg) from error

    async def ended(self, code: int) -> Exit | None:
        """Take note of its end, its last words being in the log; None when it was noted before."""
        if self._ended is None or self._ended.done():
            return None
        if self._logging is not None:
            await asyncio.wait([self._logging], timeout=_LAST_WORDS_WITHIN)
        exit_ = exit_of(code)
        if not self._ended.done():
            self._ended.set_result(exit_)
        return exit_

    def lost(self) -> None:
        """Nothing more will be heard of it."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(EnvironmentFailure(LOST))
            self._ended.exception()  # it need not be asked for

    async def remove(self, engine: Engine) -> None:
        """Remove the container; its log is whole afterwards."""
        if self.container:
            await engine.call(engine.api.remove_container, self.container, v=True, force=True)
        if self._logging is not None:
            await asyncio.wait([self._logging], timeout=_LAST_WORDS_WITHIN)
            self._logging.cancel()

    def _command_and_files(self, root: Path) -> tuple[list[str], dict[str, tuple[bytes, int]]]:
        """The command as it is in the container; a program beside the scenario file comes along."""
        home = f"{HOME}/{self.spec.name}"
        files = {f"{home}/{name}": (text.encode(), 0o644) for name, text in self.spec.files.items()}
        command = list(self.spec.command)
        if command and "/" in command[0] and not command[0].startswith("/"):
            program = root / command[0]
            try:
                files[f"{home}/{program.name}"] = (program.read_bytes(), 0o755)
            except OSError as error:
                msg = f"{self.spec.name} cannot start: there is no program '{program}'"
                raise EnvironmentFailure(msg) from error
            command[0] = f"/{home}/{program.name}"
        return command, files


def limits(spec: ServiceSpec) -> dict[str, Any]:
    """`resources` in the engine's words."""
    found: dict[str, Any] = {}
    if spec.resources and spec.resources.memory is not None:
        found["mem_limit"] = int(spec.resources.memory)
    if spec.resources and spec.resources.cpus is not None:
        found["nano_cpus"] = int(spec.resources.cpus * 1e9)
    return found


def exit_of(code: int) -> Exit:
    """What an engine's exit code means: 128 + n is the end by signal n."""
    try:
        return Exit(code=None, signal=signal.Signals(code - 128).name)
    except ValueError:
        return Exit(code=code)


async def _copy(line: Attachment, log: Path) -> None:
    # When the disk is full, the run hears of it from its history.
    try:
        with suppress(OSError), log.open("ab", buffering=0) as file:
            async for _, chunk in line.chunks():
                file.write(chunk)
    finally:
        line.close()
