"""A real Redis for tests: Debian's, on a loopback address of its own, keeping nothing on disk."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ADDRESS = "127.77.21.1"

needs_redis = pytest.mark.skipif(
    not shutil.which("redis-server"), reason="no redis-server (apt-get install redis-server)"
)


class Server:
    """Started, stopped and started again, paused and resumed."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server((ADDRESS, 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"redis://{ADDRESS}:{self.port}"
        self._command = ["redis-server", "--port", str(self.port), "--bind", ADDRESS, "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        while "Ready to accept connections" not in (line := self.process.stdout.readline()):
            assert line, "redis-server ended"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def ask(self, *words: str, options: tuple[str, ...] = ()) -> str:
        """What redis-cli says."""
        command = ["redis-cli", "-h", ADDRESS, "-p", str(self.port), *options, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[Server]:
    made = Server(folder, *options)
    try:
        yield made
    finally:
        made.kill()
