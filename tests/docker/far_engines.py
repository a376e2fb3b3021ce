"""Ways to this machine's engine as if it were on another one: by TLS with certificates, by a real sshd."""

from __future__ import annotations

import getpass
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.engine_place import LOCAL

TLS_HELLO = b"\x16"


def run(*argv: str | Path) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"


def authority(folder: Path) -> Path:
    """A CA with a certificate for a server at 127.0.0.1 and one for a client: ca, server, cert and key."""
    folder.mkdir()

    def file(name: str) -> str:
        return str(folder / f"{name}.pem")

    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    run(*new, "-subj", f"/CN=authority of {folder.name}", "-keyout", file("ca-key"), "-out", file("ca"))
    for name, key, subject in (("server", "server-key", "engine"), ("cert", "key", "client")):
        run(
            *new, "-subj", f"/CN={subject}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", file("ca"), "-CAkey", file("ca-key"), "-keyout", file(key), "-out", file(name),
        )  # fmt: skip
    return folder


@contextmanager
def engine_with_tls(certificates: Path | None) -> Iterator[int]:
    """A port at which this machine's engine answers, to clients with a certificate of the authority."""
    context = None
    if certificates is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            threading.Thread(target=_pass_both_ways, args=(near, context), daemon=True).start()


def _pass_both_ways(near: socket.socket, context: ssl.SSLContext | None) -> None:
    # An SSL socket must not be read and written by two threads at once; with a socket pair, one does it all.
    with near, socket.socket(socket.AF_UNIX) as far, suppress(OSError):
        far.connect(LOCAL.socket_path)
        if context and near.recv(1, socket.MSG_PEEK) != TLS_HELLO:
            near.recv(65536)
            near.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
            return
        plain = context.wrap_socket(near, server_side=True) if context else near
        with plain:
            plain.setblocking(False)
            far.setblocking(False)
            _pump(plain, far)


def _pump(one: socket.socket, other: socket.socket) -> None:
    import select

    waiting = {one: b"", other: b""}
    while True:
        wanting = [each for each in (one, other) if waiting[each]]
        pending = isinstance(one, ssl.SSLSocket) and one.pending()
        select.select([one, other], wanting, [], 0 if pending else 0.5)
        for source, sink in ((one, other), (other, one)):
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                while data := source.recv(65536):
                    waiting[sink] += data
                sink.setblocking(True)
                sink.sendall(waiting[sink])
                return
        for sink in (one, other):
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                while waiting[sink]:
                    waiting[sink] = waiting[sink][sink.send(waiting[sink]) :]


@contextmanager
def sshd(folder: Path) -> Iterator[Path]:
    """An sshd on loopback that lets us in by a key; yields a folder with an `ssh` that calls its machine `far`."""
    folder.mkdir(mode=0o700)
    for key in ("host", "own"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "authorized").write_text((folder / "own.pub").read_text())
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nPermitRootLogin prohibit-password\n"
    )
    (folder / "ssh_config").write_text(
        f"Host far\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n"
        f"Host *\n IdentityFile {folder}/own\n IdentitiesOnly yes\n StrictHostKeyChecking no\n"
        f" UserKnownHostsFile {folder}/known\n LogLevel ERROR\n"
    )
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/ssh_config "$@"\n')
    (programs / "ssh").chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL
    )
    try:
        _until_open(port)
        yield programs
    finally:
        server.terminate()
        server.wait()


def _until_open(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return
