"""The backend's life, again and again: start, wait until ready, watch, and start anew when it has ended."""

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from system.advertising import bracketed, is_loopback, reachable_locally
from system.babysitter.backends import command_line, environment
from system.babysitter.child import Child, child_process
from system.babysitter.config import BabysitterConfig
from system.babysitter.liveness import Liveness
from system.babysitter.output import line_writer
from system.babysitter.probe import Model, Probe, Unwell
from system.babysitter.restarts import RestartRules, Restarts
from system.errors import StartupError
from system.http_client import HttpClient, Unreachable
from system.listening import listen

log = logging.getLogger("babysitter")

Phase = Literal["starting", "healthy", "unhealthy", "down"]
STILL_WAITING = 15.0  # seconds between two lines about a backend that takes its time
LOOK_EVERY = 1.0
LOOK_AGAIN = 0.25  # after a bad look


class NeverReady(Exception):
    """The backend runs but did not get ready in time."""


@dataclass(slots=True)
class Listeners:
    """Who wants to know about the backend: it serves, it is still alive, it does not serve."""

    serving: list[Callable[[], None]] = field(default_factory=list)
    alive: list[Callable[[], None]] = field(default_factory=list)
    gone: list[Callable[[], None]] = field(default_factory=list)


class Supervisor:
    """Keeps one backend running."""

    def __init__(self, config: BabysitterConfig, client: HttpClient) -> None:
        self.config = config
        self.argv = command_line(config)
        self.environment = environment(config, os.environ)
        self.listeners = Listeners()
        self.restarts = Restarts(RestartRules(delay=config.restart_delay, most=config.max_restarts))
        self.phase: Phase = "starting"
        self.models: list[Model] = []
        self.child: Child | None = None
        self.probe = Probe(client, f"http://{bracketed(reachable_locally(config.host))}:{config.port}")
        self._client = client
        self._write = line_writer(config.service_name, config.log_format)

    def check(self) -> None:
        """Raise StartupError for what would keep the backend from ever starting."""
        folder = self.config.work_dir
        if folder is not None and not folder.is_dir():
            msg = f"the backend's work_dir {folder} is not a folder; create it or change backend.work_dir"
            raise StartupError(msg)
        program = self.argv[0]
        at = str(Path(folder or ".") / program) if "/" in program else program
        if shutil.which(at, path=self.environment["PATH"]) is None:
            msg = f"the backend's command {program} was not found; install it or change backend.command"
            raise StartupError(msg)
        self._port_is_free()

    def _port_is_free(self) -> None:
        try:
            listen(self.config.host, self.config.port).close()
        except StartupError as error:
            msg = f"for the backend: {error}"
            raise StartupError(msg) from None

    async def run(self) -> str:
        """Supervise until the rules say to give up; returns the reason."""
        while True:
            self.restarts.started(time.monotonic())
            how = await self._life()
            log.warning("Service process died (%s)", how)
            pause = self.restarts.ended(time.monotonic())
            most = self.config.max_restarts
            if pause is None:
                return f"the backend ended {most + 1} times in a row, last with {how}"
            count = self.restarts.in_a_row
            log.warning("Service crashed, restarting in %g seconds... (restart %d/%d)", pause, count, most)
            await asyncio.sleep(pause)

    async def _life(self) -> str:
        """One life of the backend, from start to end; returns how it ended."""
        config = self.config
        self.phase = "starting"
        try:
            self._port_is_free()
            log.info("starting %s", " ".join(self.argv))
            async with child_process(
                self.argv,
                cwd=config.work_dir,
                env=self.environment,
                stop_within=config.stop_timeout,
                write=self._write,
            ) as self.child:
                return await self._until_dead(self.child)
        except (StartupError, NeverReady, OSError) as error:
            return str(error)
        finally:
            self.child = None

    async def _until_dead(self, child: Child) -> str:
        death = asyncio.create_task(child.ended())
        work = asyncio.create_task(self._serve())
        try:
            await asyncio.wait({death, work}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            return death.result()
        finally:
            work.cancel()
            death.cancel()
            self._turn("down")

    async def _serve(self) -> NoReturn:
        config = self.config
        waiting = asyncio.create_task(self._tell_that_it_takes_long())
        try:
            async with asyncio.timeout(config.start_timeout):
                self.models = await self.probe.wait_until_ready()
        except TimeoutError:
            msg = f"not ready after {config.start_timeout:g} s"
            raise NeverReady(msg) from None
        finally:
            waiting.cancel()
        log.info("Service detected on port %d (%d models)", config.port, len(self.models))
        self._turn("healthy")
        await self._watch()

    async def _watch(self) -> NoReturn:
        liveness = Liveness(self.config.time_to_live, time.monotonic())
        calm = min(LOOK_EVERY, self.config.heartbeat_interval)
        pause = calm
        while True:
            await asyncio.sleep(pause)
            pause = LOOK_AGAIN
            try:
                await self.probe.check(liveness.patience_left(time.monotonic()))
            except Unreachable as error:
                (liveness.denied if error.refused else liveness.silent)(time.monotonic())
                trouble = str(error)
            except Unwell as error:
                liveness.denied(time.monotonic())
                trouble = str(error)
            else:
                liveness.answered(time.monotonic())
                pause, trouble = calm, ""
            self._judge(alive=liveness.alive, trouble=trouble)

    def _judge(self, *, alive: bool, trouble: str) -> None:
        if alive and self.phase == "healthy" and not trouble:
            _tell(self.listeners.alive)
        elif alive and self.phase == "unhealthy":
            log.info("Service is well again")
            self._turn("healthy")
        elif not alive and self.phase == "healthy":
            log.warning("Service is not well: %s; taken out of the registry until it is", trouble)
            self._turn("unhealthy")

    def _turn(self, phase: Phase) -> None:
        self.phase = phase
        _tell(self.listeners.serving if phase == "healthy" else self.listeners.gone)

    async def _tell_that_it_takes_long(self) -> NoReturn:
        config = self.config
        while True:
            await asyncio.sleep(STILL_WAITING)
            log.info("still waiting for the backend at %s", self.probe.url)
            if not is_loopback(config.host) and await self._answers_only_on_loopback():
                log.warning("the backend answers on 127.0.0.1 only: start it with --host %s", config.host)

    async def _answers_only_on_loopback(self) -> bool:
        try:
            await Probe(self._client, f"http://127.0.0.1:{self.config.port}").models()
        except (Unreachable, Unwell):
            return False
        return True


def _tell(listeners: list[Callable[[], None]]) -> None:
    for listener in listeners:
        listener()
