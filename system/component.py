"""Start, readiness, drain, signals and exit code: the same for every component.

A program module defines a ComponentConfig, an async context manager `serve(config)` that is entered when it
listens and left when it has drained, and `PROGRAM = Program(...)`; `run` does everything else.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from system.config import AlsoFlag, read_config
from system.config_values import Duration, Port
from system.errors import ComponentError, UsageError
from system.logs import LogFormat, LogLevel, set_up_logging

log = logging.getLogger("component")

DRAIN_MARGIN = 2.0  # seconds beyond the drain before it is cut short, and again before the process is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentConfig:
    """What every component can be told."""

    config: Annotated[Path | None, "a TOML file with these options as keys", AlsoFlag("--config-file")] = None
    host: Annotated[str, "the address to listen on"] = "0.0.0.0"
    port: Annotated[Port, "the port to listen on"] = 0
    log_level: Annotated[LogLevel, "how much to log"] = "info"
    log_format: Annotated[LogFormat, "lines for people, or JSON"] = "text"
    drain: Annotated[Duration, "how long open requests may take after SIGTERM, in seconds"] = 10.0
    tls_cert: Annotated[Path | None, "certificate chain (PEM): serve HTTPS"] = None
    tls_key: Annotated[Path | None, "private key (PEM) of --tls-cert"] = None
    tls_client_ca: Annotated[Path | None, "CA (PEM) whose certificates clients must show"] = None
    token_file: Annotated[
        Path | None, "file with bearer tokens, one a line: required of clients, sent to peers"
    ] = None


C = TypeVar("C", bound=ComponentConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A component that is ready: where it is reached, and how it says that it ended by itself."""

    url: str
    ended: asyncio.Future[str] | None = None
    """Completes with the reason when the component cannot go on; the program then exits with 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Generic[C]):
    """A component as a program."""

    name: str
    about: str
    config: type[C]
    serve: Callable[[C], AbstractAsyncContextManager[Serving]]


def run(program: Program[Any], argv: list[str], prog: str = "") -> int:
    """Run a component until it is told to stop; returns its exit code: 0 clean, 1 failure, 2 wrong usage."""
    try:
        config = read_config(prog or program.name, program.about, program.config, argv, os.environ)
    except UsageError as error:
        return _complain(program, error)
    set_up_logging(config.log_level, config.log_format)
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Life(program, config).run())
    except ComponentError as error:
        return _complain(program, error)


def _complain(program: Program[Any], error: ComponentError) -> int:
    for line in str(error).splitlines():
        print(f"{program.name}: {line}", file=sys.stderr)
    return error.exit_code


class _Life:
    """From start to exit code: what a signal means depends on how far the component has come."""

    def __init__(self, program: Program[Any], config: ComponentConfig) -> None:
        self.program = program
        self.config = config
        self.told = asyncio.Event()
        self.ready = False
        self.task: asyncio.Task[int] | None = None

    async def run(self) -> int:
        self.task = asyncio.create_task(self._serve())
        with _signals(self._signalled):
            try:
                return await self.task
            except asyncio.CancelledError:
                if not self.told.is_set():
                    raise
                return 1 if self.ready else 0

    async def _serve(self) -> int:
        async with self.program.serve(self.config) as serving:
            self.ready = True
            print(f"{self.program.name} ready on {serving.url}", flush=True)
            reason = await _first(self.told, serving.ended)
        if reason is not None:
            log.error("%s ended by itself: %s", self.program.name, reason)
        return 0 if reason is None else 1

    def _signalled(self) -> None:
        if self.told.is_set():
            log.warning("second signal: leaving at once")
            os._exit(1)
        self.told.set()
        assert self.task is not None
        if not self.ready:
            self.task.cancel()
        loop = asyncio.get_running_loop()
        loop.call_later(self.config.drain + DRAIN_MARGIN, self._cut_short)
        loop.call_later(self.config.drain + 2 * DRAIN_MARGIN, os._exit, 1)

    def _cut_short(self) -> None:
        log.warning("%s did not stop within %g s: cutting it short", self.program.name, self.config.drain)
        assert self.task is not None
        self.task.cancel()


async def _first(told: asyncio.Event, ended: asyncio.Future[str] | None) -> str | None:
    """None once told to stop, or the reason why the component ended by itself."""
    waiting = asyncio.create_task(told.wait())
    both: set[asyncio.Future[Any]] = {waiting} if ended is None else {waiting, ended}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if ended is None or told.is_set():
        return None
    return str(ended.exception() or ended.result())


@contextlib.contextmanager
def _signals(handler: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
