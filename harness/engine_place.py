"""Where a container engine answers, and how it is spoken to there. Standard library only: the reaper uses it.

`DOCKER_HOST` (`unix://`, `tcp://`, `ssh://`) with `DOCKER_TLS_VERIFY`, `DOCKER_TLS` and `DOCKER_CERT_PATH`,
else the Docker context in use, else this machine's engine: as Docker's own command line has it.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_TIMEOUT = 30.0
_CONNECT_WITHIN = 5.0
_PORTS = {False: 2375, True: 2376}
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-T")
"""Nobody is there to type a password; a machine that is gone is noticed after 15 seconds."""


class NoEngine(Exception):
    """No engine can be meant by what is configured; the text says why."""


class EnginePlace(NamedTuple):
    """An engine's URL; `certificates` is the folder of ca.pem, cert.pem and key.pem where it speaks TLS."""

    url: str
    certificates: str = ""
    verify: bool = True

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine for certain, so that its networks may be reached."""
        return self.url.startswith("unix://")

    @property
    def socket_path(self) -> str:
        """The socket of a `unix://` engine; at an `ssh://` one, the socket over there."""
        return urlsplit(self.url).path or LOCAL.socket_path

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of a `tcp://` engine."""
        where = urlsplit(self.url)
        return where.hostname or "localhost", where.port or _PORTS[bool(self.certificates)]

    def tls(self) -> ssl.SSLContext | None:
        """What its connections are made safe with; None where they are plain. OSError: a file is missing."""
        if not self.certificates:
            return None
        import ssl

        own, key, ca = (os.path.join(self.certificates, f"{n}.pem") for n in ("cert", "key", "ca"))  # noqa: PTH118
        context = ssl.create_default_context(cafile=ca if self.verify else None)
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if os.path.exists(own):  # noqa: PTH110
            context.load_cert_chain(own, key)
        return context

    def ssh(self, *options: str) -> list[str]:
        """The command that logs in to the machine of an `ssh://` engine; what it runs there comes behind."""
        where = urlsplit(self.url)
        port = ("-p", str(where.port)) if where.port else ()
        user = f"{where.username}@" if where.username else ""
        return [*SSH, *options, *port, "--", f"{user}{where.hostname or ''}"]

    def connection(self) -> http.client.HTTPConnection:
        """A new connection to it, opened by its first request."""
        scheme = urlsplit(self.url).scheme
        if scheme in _DIALLED:
            return _Dialled(self)
        host, port = self.address
        context = self.tls()
        if context is None:
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)

    def try_it(self) -> None:
        """Connect to it, as far as that needs no login; OSError when it is not there."""
        scheme = urlsplit(self.url).scheme
        if scheme == "unix":
            _dial_unix(self, _CONNECT_WITHIN).close()
        elif scheme != "ssh":
            socket.create_connection(self.address, _CONNECT_WITHIN).close()


LOCAL = EnginePlace("unix:///var/run/docker.sock")


class _Dialled(http.client.HTTPConnection):
    """HTTP over a unix socket, or over what `docker system dial-stdio` does on another machine."""

    def __init__(self, place: EnginePlace) -> None:
        super().__init__("engine", timeout=_TIMEOUT)
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        if self._place.is_here:
            self.sock = _dial_unix(self._place, _TIMEOUT)
            return
        ours, theirs = socket.socketpair()
        ours.settimeout(_TIMEOUT)
        self.sock = ours
        there = f"unix://{self._place.socket_path}"
        with theirs:
            self._process = subprocess.Popen(
                [*self._place.ssh(), "docker", "--host", there, "system", "dial-stdio"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )

    def close(self) -> None:
        super().close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


_DIALLED = frozenset({"unix", "ssh"})


def _dial_unix(place: EnginePlace, within: float) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(within)
    try:
        line.connect(place.socket_path)
    except OSError:
        line.close()
        raise
    return line


def engine_place(environ: Mapping[str, str]) -> EnginePlace:
    """The engine that is meant; NoEngine when it is a context that cannot be used."""
    folder = environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")  # noqa: PTH111
    if url := environ.get("DOCKER_HOST"):
        return _of_url(url, environ, folder)
    name = environ.get("DOCKER_CONTEXT") or _read(f"{folder}/config.json").get("currentContext", "")
    return LOCAL if name in {"", "default"} else _of_context(name, folder)


def _of_url(url: str, environ: Mapping[str, str], folder: str) -> EnginePlace:
    if urlsplit(url).scheme not in {"unix", "tcp", "http", "https", "ssh"}:
        msg = f"DOCKER_HOST={url} is no URL of an engine: unix://, tcp:// and ssh:// are"
        raise NoEngine(msg)
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    secure = verify or environ.get("DOCKER_TLS") or url.startswith("https:")
    if not secure or url.startswith(("unix:", "ssh:")):
        return EnginePlace(url)
    return EnginePlace(url, environ.get("DOCKER_CERT_PATH") or folder, verify)


def _of_context(name: str, folder: str) -> EnginePlace:
    key = hashlib.sha256(name.encode()).hexdigest()
    stated = _read(f"{folder}/contexts/meta/{key}/meta.json").get("Endpoints", {}).get("docker", {})
    if not stated.get("Host"):
        msg = f"there is no Docker context '{name}' in {folder}: see `docker context ls`, or set DOCKER_HOST"
        raise NoEngine(msg)
    certificates = f"{folder}/contexts/tls/{key}/docker"
    has_them = os.path.isdir(certificates)  # noqa: PTH112
    return EnginePlace(stated["Host"], certificates if has_them else "", not stated.get("SkipTLSVerify"))


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # pathlib is slow to import
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
