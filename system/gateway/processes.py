"""Several processes behind one port: started, replaced when they die, and one by one on SIGHUP.

The parent makes a listening socket for each of them and keeps it to the end, so that connections which arrive
while a process is being replaced wait for the next one. The kernel spreads connections over these sockets.
A process leaves when its line to the parent ends, or on SIGTERM.
"""

import asyncio
import base64
import contextlib
import itertools
import logging
import os
import pickle
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from system.component import Serving
from system.errors import ComponentError, StartupError
from system.gateway.logs import set_up_gateway_logging
from system.gateway.settings import GatewayConfig
from system.listening import listen, url_of

log = logging.getLogger("gateway")

COMMAND = (sys.executable, "-m", "system.gateway.processes")
START_WITHIN = 30.0  # seconds
RESTART_PAUSE, LONGER_PAUSE = 0.5, 2.0
BEAT, SILENT = 0.5, 10.0  # seconds between two signs of life; without any, twice in a row
LEAVING_MARGIN = 3.0  # seconds beyond the drain after which a process that leaves is ended


class Process:
    """One process, as its parent sees it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ready(self) -> bool:
        """Whether it serves; False if it ended, or was not ready in time."""
        try:
            async with asyncio.timeout(START_WITHIN):
                return bool(await self._reader.read(1))
        except (TimeoutError, OSError):
            return False

    async def watch(self) -> None:
        """End it if it no longer moves: what connects to its socket would wait for ever.

        Silent twice: whoever was stopped together with this process, and goes on with it, gets its time.
        """
        silent = 0
        while silent < 2:
            try:
                async with asyncio.timeout(SILENT):
                    if not await self._reader.read(64):
                        return
                silent = 0
            except TimeoutError:
                silent += 1
            except OSError:
                return
        log.error("worker %d has not moved for %g s: ending it", self.pid, 2 * SILENT)
        self.process.kill()

    def leave(self) -> None:
        self._writer.close()

    async def gone(self, within: float) -> None:
        """Wait until it has ended; after `within` seconds it is ended."""
        try:
            async with asyncio.timeout(within):
                await self.process.wait()
        except TimeoutError:
            log.warning("worker %d did not leave within %g s: ending it", self.pid, within)
            self.process.kill()
            await self.process.wait()


class Slot:
    """A listening socket, and the process that accepts from it."""

    def __init__(self, config: GatewayConfig, listener: socket.socket) -> None:
        self._config = config
        self.listener = listener
        self.current: Process | None = None
        self.stopping = False
        self._changing = asyncio.Lock()
        self._doing: set[asyncio.Task[None]] = set()

    async def start(self) -> bool:
        """Put a new process in the place of the one there is, if any; False if it could not be had."""
        async with self._changing:
            if self.stopping:
                return False
            fresh = await _spawn(self._config, self.listener)
            if self.stopping or not await fresh.ready():
                fresh.leave()
                await fresh.gone(LEAVING_MARGIN)
                return False
            before, self.current = self.current, fresh
            self._do(self._watch(fresh))
            self._do(fresh.watch())
            if before is not None:
                self._retire(before)
            return True

    async def _watch(self, process: Process) -> None:
        """Replace the process if it ends by itself."""
        code = await process.process.wait()
        if self.stopping or process is not self.current:
            return
        log.error("worker %d ended with %d: starting another", process.pid, code)
        for pause in itertools.chain([RESTART_PAUSE], itertools.repeat(LONGER_PAUSE)):
            if self.stopping or process is not self.current or await self.start():
                return
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        self.stopping = True
        if self.current is not None:
            self._retire(self.current)
        await asyncio.gather(*self._doing)

    def kill(self) -> None:
        if self.current is not None and self.current.process.returncode is None:
            self.current.process.kill()
        for task in self._doing:
            task.cancel()

    def _retire(self, process: Process) -> None:
        process.leave()
        self._do(process.gone(self._config.drain + LEAVING_MARGIN))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)


@asynccontextmanager
async def processes(config: GatewayConfig) -> AsyncIterator[Serving]:
    """As many processes as configured; entered when all of them serve, left when they have drained."""
    set_up_gateway_logging(config.log_level, config.log_format)
    slots = _slots(config)
    try:
        if not all(await asyncio.gather(*(slot.start() for slot in slots))):
            msg = f"not all of {len(slots)} processes could start; what they said stands above"
            raise StartupError(msg)
        with _on_hangup(slots):
            yield Serving(url=url_of(slots[0].listener, "https" if config.tls_cert else "http"))
    finally:
        for slot in slots:
            # Who connects from now on is refused, and can turn to another instance, rather than wait in vain.
            slot.stopping = True
            slot.listener.close()
        try:
            await asyncio.gather(*(slot.stop() for slot in slots))
        finally:
            for slot in slots:
                slot.kill()


def _slots(config: GatewayConfig) -> list[Slot]:
    """The first socket finds out whether the port is free; only then may the others join it."""
    listen(config.host, config.port).close()
    first = listen(config.host, config.port, reuse_port=True)
    port = first.getsockname()[1]
    group = config.group or f"gateway-{os.getpid()}-{secrets.token_hex(4)}"
    shared = replace(config, port=port, group=group)
    others = [listen(config.host, port, reuse_port=True) for _ in range(config.workers - 1)]
    return [Slot(shared, listener) for listener in (first, *others)]


async def restart(slots: list[Slot]) -> None:
    """One process after the other makes room for a new one; who cannot be replaced stays."""
    for slot in slots:
        before = slot.current
        if slot.stopping or not await slot.start():
            log.error("rolling restart: a new process did not become ready; the old ones go on")
            return
        assert before is not None
        assert slot.current is not None
        log.info("rolling restart: worker %d follows worker %d", slot.current.pid, before.pid)
    log.info("rolling restart: done")


@contextmanager
def _on_hangup(slots: list[Slot]) -> Iterator[None]:
    """SIGHUP restarts; a second one while that goes on is not heard."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def heard() -> None:
        if not running:
            task = asyncio.create_task(restart(slots))
            running.add(task)
            task.add_done_callback(running.discard)

    try:
        loop.add_signal_handler(signal.SIGHUP, heard)
    except (ValueError, RuntimeError):  # not the main thread: somebody's library, not our program
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in running:
            task.cancel()


async def _spawn(config: GatewayConfig, listener: socket.socket) -> Process:
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *(str(theirs.fileno()), str(listener.fileno())),
            pass_fds=[theirs.fileno(), listener.fileno()],
        )
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(base64.b64encode(pickle.dumps(config)) + b"\n")
    return Process(process, reader, writer)


def main(line: int, listener: int) -> int:
    """Serve until the parent closes its end of the line, or SIGTERM."""
    import uvloop

    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)  # the parent hears them
    channel = socket.socket(fileno=line)
    with channel.makefile("rb") as lines:
        config: GatewayConfig = pickle.loads(base64.b64decode(lines.readline()))  # noqa: S301 - from our parent
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config, channel, socket.socket(fileno=listener)))
    except ComponentError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return error.exit_code
    return 0


async def _serve(config: GatewayConfig, channel: socket.socket, listener: socket.socket) -> None:
    from system.gateway.program import gateway

    loop = asyncio.get_running_loop()
    left = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, left.set)
    channel.setblocking(False)  # noqa: FBT003 - the standard library's signature
    async with gateway(config, listener=listener):
        loop.add_reader(channel, left.set)  # it has nothing more to say: its end is what can be read
        while not left.is_set():
            with contextlib.suppress(OSError):
                channel.send(b"1")  # the first says that it serves, the others that it still moves
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await left.wait()
        loop.remove_reader(channel)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
