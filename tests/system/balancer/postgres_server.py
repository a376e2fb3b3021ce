"""A PostgreSQL for tests: Debian's programs, in a folder that goes with it, on a loopback address."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "127.77.21.1"
MISSING = "no PostgreSQL server (apt-get install postgresql)"


def program(name: str) -> str | None:
    """A program of the server, which Debian keeps out of the PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return shutil.which(name) or (str(newest[-1]) if newest else None)


class Server:
    """A server that can be stopped, crashed, and started again where it was."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self._folder, self._user = folder, user
        with socket.create_server((ADDRESS, 0)) as free:
            self.port = int(free.getsockname()[1])
        self._databases = 0
        self._run("initdb", "-U", "muster", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    def _run(self, name: str, *options: str) -> None:
        found = program(name)
        assert found
        subprocess.run(
            [found, "-D", str(self._folder), *options],
            user=self._user,
            cwd=self._folder,
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        found = program("postgres")
        assert found
        settings = {"listen_addresses": ADDRESS, "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [found, "-D", str(self._folder), "-p", str(self.port), *options],
            stdout=subprocess.DEVNULL,
            stderr=(log := (self._folder / "log").open("w+b")),
            user=self._user,
            cwd=self._folder,
        )
        log.close()
        while b"ready to accept connections" not in (self._folder / "log").read_bytes():
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError((self._folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """With SIGINT in order, with SIGQUIT as in a crash."""
        self._process.send_signal(how)
        self._process.wait(20)

    def database(self) -> str:
        """The URL of a new database."""
        self._databases += 1
        import psycopg

        url = f"postgresql://muster@{ADDRESS}:{self.port}"
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test{self._databases} STRATEGY file_copy".encode())
        return f"{url}/test{self._databases}"


@contextmanager
def postgres_server() -> Iterator[Server]:
    """As root it runs as somebody else, because PostgreSQL insists."""
    user = None
    with tempfile.TemporaryDirectory(prefix="muster-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name, "data")
        folder.mkdir(0o700)
        if os.geteuid() == 0:
            user = "postgres" if "postgres" in {one.pw_name for one in pwd.getpwall()} else "nobody"
            Path(name).chmod(0o711)
            shutil.chown(folder, user)
        server = Server(folder, user)
        try:
            yield server
        finally:
            server.stop()
