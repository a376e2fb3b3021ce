"""Ways to this machine's engine as if it were on another one: by TLS with certificates, by a real sshd."""

from __future__ import annotations

import asyncio
import gc
import getpass
import os
import queue
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.engine_place import LOCAL

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(*argv: str | Path) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"


def authority(folder: Path) -> Path:
    """A CA with a certificate for a server at 127.0.0.1 and one for a client: ca, server, cert and key."""
    folder.mkdir()

    def file(name: str) -> str:
        return str(folder / f"{name}.pem")

    new = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    )
    run(*new, "-subj", f"/CN=authority of {folder.name}", "-keyout", file("ca-key"), "-out", file("ca"))
    for name, key, subject in (("server", "server-key", "engine"), ("cert", "key", "client")):
        run(
            *new, "-subj", f"/CN={subject}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", file("ca"), "-CAkey", file("ca-key"), "-keyout", file(key), "-out", file(name),
        )  # fmt: skip
    return folder


async def _to_engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on, both ways, until either side ends."""
    far_reader, far_writer = await asyncio.open_unix_connection(LOCAL.socket_path)

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

    ways = [asyncio.create_task(pass_on(*way)) for way in ((reader, far_writer), (far_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        far_writer.close()
        writer.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What an engine that wants TLS says to who does not speak it."""
    await reader.read(65536)
    writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
    writer.close()


def _asking_for_certificates(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    return context


@contextmanager
def engine_with_tls(certificates: Path) -> Iterator[int]:
    """A port at which this machine's engine answers by TLS, to clients with a certificate of the authority."""
    with _serving(_to_engine, _asking_for_certificates(certificates)) as port:
        yield port


@contextmanager
def engine_without_tls(_: Path) -> Iterator[int]:
    """A port at which this machine's engine answers everybody."""
    with _serving(_to_engine, None) as port:
        yield port


@contextmanager
def engine_that_wants_tls(_: Path) -> Iterator[int]:
    """A port at which something answers as an engine does to who does not speak TLS."""
    with _serving(_refuse, None) as port:
        yield port


@contextmanager
def _serving(handler: Handler, context: ssl.SSLContext | None) -> Iterator[int]:
    ports: queue.Queue[int] = queue.Queue()
    over: list[Callable[[], object]] = []

    async def main() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # a handshake that fails is what its client is to see
        server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
        over.append(lambda: loop.call_soon_threadsafe(done.set))
        ports.put(server.sockets[0].getsockname()[1])
        await done.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        yield ports.get(timeout=10)
    finally:
        over[0]()
        thread.join()
        with warnings.catch_warnings():
            # what asyncio leaves open of handshakes that failed is not for a later test to find
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


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
