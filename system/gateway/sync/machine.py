"""Among the processes of one machine, without any server: a file they all can lock, and a socket each.

They meet in a folder of their user's, under the name of a group: `GROUP.circuits` holds what is in force,
`GROUP.PID.NUMBER` is where a process hears the others, by datagrams. News goes to everybody's socket; what
got lost is made good every second from the file. Whoever comes when nobody else is there begins afresh.
"""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import socket
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from system.gateway.sync.base import Ears, SyncSettings, ended
from system.gateway.transitions import Circuit, granted, supersedes
from system.gateway.wire import Garbled, Told, circuit_from, circuit_to, told_from, told_to

log = logging.getLogger("gateway")

PULSE = 1.0  # seconds between two comparisons
LOCKED_WITHIN = 0.05  # seconds; it is held for microseconds, except by who is stopped in between
SETTLED = 60.0  # seconds after which what nobody hears is left over, and not about to be used
AT_MOST = 65536  # bytes of a datagram


@asynccontextmanager
async def on_machine(settings: SyncSettings, ears: Ears) -> AsyncIterator["MachineLink | None"]:
    """Share for as long as the context lasts; entered when the others' circuits are known."""
    if settings.group is None:
        yield None
        return
    link = MachineLink(settings.group, ears, settings.folder or _folder())
    link.join()
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        await ended(running)
        link.leave()


class MachineLink:
    """One process among others."""

    def __init__(self, group: str, ears: Ears, folder: Path) -> None:
        self._ears = ears
        self._folder = folder
        self._group = hashlib.sha256(group.encode()).hexdigest()[:16]
        self._file = folder / f"{self._group}.circuits"
        self._name = f"{self._group}.{os.getpid()}.{ears.author.tie:x}"
        self._socket: socket.socket | None = None
        self._others: set[str] = set()

    @property
    def reachable(self) -> bool:
        return self._socket is not None

    @property
    def connected(self) -> bool:
        """Somebody else is there."""
        return bool(self._others)

    def join(self) -> None:
        """Take over what the others know."""
        try:
            _own(self._folder)
            self._listen()
            _tidy(self._folder)
            self._look_around()
            with self._circuits() as held:
                if not self._others:
                    held.clear()
            self._compare()
            self._send({"here": self._name})
        except (OSError, Unavailable) as error:
            log.warning("nothing is shared on this machine: %s: %s", self._folder, error)

    def leave(self) -> None:
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._send({"gone": self._name})
        self._socket.close()
        self._forget(self._name)
        self._look_around()
        if not self._others:
            with contextlib.suppress(OSError, Unavailable), self._circuits():
                self._file.unlink(missing_ok=True)
        self._socket = None

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PULSE)
            if self._socket is None:
                continue
            self._look_around()
            try:
                self._compare()
            except (OSError, Unavailable) as error:
                log.warning("the circuits of this machine cannot be read: %s: %s", self._file, error)

    def changed(self, provider: str) -> None:
        circuit = self._ears.circuits()[provider]
        with contextlib.suppress(OSError, Unavailable):  # the next comparison brings it
            self._bring(provider, circuit, claim=False)

    def tell(self, told: Told) -> None:
        self._send({"told": told_to(told)})

    async def put(self, provider: str, circuit: Circuit, *, claim: bool, within: float) -> Circuit | None:
        try:
            return self._bring(provider, circuit, claim=claim)
        except (OSError, Unavailable):
            return None

    def _bring(self, provider: str, circuit: Circuit, *, claim: bool) -> Circuit:
        if self._socket is None:
            msg = "not joined"
            raise Unavailable(msg)
        with self._circuits() as held:
            known = held.get(provider)
            kept = (
                granted(circuit, known, self._ears.now())
                if claim
                else known is None or supersedes(circuit, known)
            )
            if kept:
                held[provider] = circuit
            in_force = held[provider]
        if kept:
            self._send({"circuit": circuit_to(provider, circuit, self._ears.now())})
        self._ears.hear(provider, in_force)
        return in_force

    def _compare(self) -> None:
        for provider, circuit in list(self._ears.circuits().items()):
            self._bring(provider, circuit, claim=False)

    def _listen(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.setblocking(False)  # noqa: FBT003 - the standard library's signature
        try:
            made.bind(str(self._folder / self._name))
        except OSError:
            made.close()
            raise
        self._socket = made
        asyncio.get_running_loop().add_reader(made.fileno(), self._hear)

    def _hear(self) -> None:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(AT_MOST)
            except OSError:
                return
            try:
                self._take(json.loads(data))
            except (Garbled, ValueError, TypeError, KeyError) as error:
                log.warning("another process of this machine said what makes no sense: %s", error)

    def _take(self, message: dict[str, Any]) -> None:
        if "circuit" in message:
            fields = message["circuit"]
            self._ears.hear(str(fields["provider"]), circuit_from(fields, self._ears.now()))
        elif "told" in message:
            self._ears.hear_told(told_from(message["told"]))
        elif "here" in message:
            self._others.add(str(message["here"]))
        else:
            self._others.discard(str(message["gone"]))

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        for other in list(self._others):
            try:
                if self._socket is not None:
                    self._socket.sendto(data, str(self._folder / other))
            except OSError as error:
                if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                    self._forget(other)

    def _look_around(self) -> None:
        """Who is there, and whose socket is only left over."""
        names = {path.name for path in self._folder.glob(f"{self._group}.*.*")} - {self._name}
        for name in names - self._others:
            if _alive(self._folder / name):
                self._others.add(name)
            else:
                self._forget(name)
        self._others &= names

    def _forget(self, name: str) -> None:
        self._others.discard(name)
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()

    @contextmanager
    def _circuits(self) -> Iterator[dict[str, Circuit]]:
        """What is in force, for this process alone; its changes are written. Due on the machine's clock."""
        with self._file_locked() as descriptor:
            held = _read(descriptor)
            before = dict(held)
            yield held
            if held != before:
                text = json.dumps({name: circuit_to(name, one, 0.0) for name, one in held.items()}).encode()
                os.pwrite(descriptor, text, 0)
                os.ftruncate(descriptor, len(text))

    @contextmanager
    def _file_locked(self) -> Iterator[int]:
        deadline = time.monotonic() + LOCKED_WITHIN
        while True:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(descriptor, deadline)
                if not _is(self._file, descriptor):  # removed by the last of those before us
                    continue
                yield descriptor
                return
            finally:
                os.close(descriptor)


class Unavailable(Exception):
    """The file cannot be had."""


def _alive(path: Path) -> bool:
    """Whether somebody hears what is sent to a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect(str(path))
        except OSError:
            return False
    return True


def _tidy(folder: Path) -> None:
    """Remove what killed processes have left behind, of whatever group."""
    sockets = {path for path in folder.iterdir() if path.suffix != ".circuits"}
    living = {path for path in sockets if _alive(path)}
    groups = {path.name.partition(".")[0] for path in living}
    for path in set(folder.iterdir()) - living:
        with contextlib.suppress(OSError):
            old = time.time() - path.stat().st_mtime > SETTLED
            if old and path.name.partition(".")[0] not in groups:
                path.unlink()


def _lock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                msg = "another process holds its lock"
                raise Unavailable(msg) from None
            time.sleep(0.0005)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> dict[str, Circuit]:
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    try:
        return {name: circuit_from(fields, 0.0) for name, fields in json.loads(text).items()} if text else {}
    except (Garbled, ValueError, AttributeError):
        return {}  # its writer was killed: everybody brings what it knows


def _folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    return base / f"muster-gateway-{os.getuid()}"


def _own(folder: Path) -> None:
    """Make sure that nobody else can write there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        msg = "belongs to somebody else, or others may write there"
        raise Unavailable(msg)
