"""Sockets to listen on, bound before anything else is set up, so that a taken port is known at once."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from system.errors import StartupError

BACKLOG = 2048  # connections that may wait to be accepted; whoever comes then waits a second and more


def listen(host: str, port: int, *, reuse_port: bool = False, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket; raises StartupError in words when the address cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        msg = f"cannot listen on {host}: {error.strerror}; --host takes an address of this machine"
        raise StartupError(msg) from None
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise StartupError(_why_not(host, port, error)) from None
    listener.settimeout(0)
    return listener


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """The URL under which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            holder = holder_of(host, port)
            who = f" by {holder}" if holder else ""
            return f"port {port} on {host} is taken{who}; stop it or choose another --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine; --host takes one that is, or 0.0.0.0 for all"
        case errno.EACCES:
            return f"port {port} may not be used by this user; choose a --port of 1024 or above"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror}"


def holder_of(host: str, port: int) -> str:
    """The process that listens on a port, for people: `pid 123 (python -m http.server)`; empty if unknown."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(host, port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in wanted for fd in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f"pid {process.name} ({command.strip()[:120]})"
        except OSError:
            continue  # gone meanwhile, or another user's
    return ""


def _listening_inodes(host: str, port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            address, _, number = columns[1].rpartition(":")
            if columns[3] == "0A" and int(number, 16) == port and _overlaps(address, host):
                yield columns[9]


def _overlaps(hexadecimal: str, host: str) -> bool:
    """Whether a listener in the kernel's notation stands in the way of one on `host`."""
    try:
        wanted = socket.inet_aton(socket.gethostbyname(host))
    except OSError:
        return True
    held = bytes.fromhex(hexadecimal)
    return len(held) != 4 or not any(held) or not any(wanted) or held == wanted[::-1]
