"""The other kinds of Redis: with a password, over TLS, as a cluster of several nodes."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.system.registry.served import ADDRESS, connected, serving, until
from tests.system.registry.sharing import (
    NEEDED,
    Server,
    free_port,
    is_alone,
    is_shared,
    play,
    register,
    shows,
)

pytest.importorskip("redis", reason="the package redis is not installed")
pytestmark = NEEDED
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make certificates with")

PASSWORD = "sesame"
QUICK = (
    "--cluster-enabled",
    "yes",
    "--cluster-announce-ip",
    ADDRESS,
    "--cluster-node-timeout",
    "1000",
    "--repl-diskless-sync-delay",
    "0",
)


async def a_replica_and_a_service(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    """What is registered here is there, and what ends here ends there."""
    await register(one, "a")
    async with connected(one):
        await shows(other, "a", "r1")
    await shows(other, "a")


async def finds_no_redis(url: str) -> None:
    async with serving(store=url) as stranger:
        await until(lambda: is_alone(stranger))
        assert not await is_shared(stranger)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Has a CA of its own making, and a certificate that it signed for the address of the tests."""
    names = {"ca": "/CN=muster test CA", "redis": "/CN=redis"}
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    for name, subject in names.items():
        files = ["-out", f"{tmp_path}/{name}.pem", "-keyout", f"{tmp_path}/{name}.key"]
        signed = [
            *("-CA", f"{tmp_path}/ca.pem", "-CAkey", f"{tmp_path}/ca.key"),
            *("-addext", f"subjectAltName=IP:{ADDRESS}", "-addext", "basicConstraints=critical,CA:FALSE"),
        ]
        command = [
            "openssl",
            "req",
            "-x509",
            *key,
            "-subj",
            subject,
            *files,
            *(signed if name != "ca" else []),
        ]
        subprocess.run(command, check=True, capture_output=True)
    return tmp_path


def tls(folder: Path, clients: str) -> tuple[str, ...]:
    """Options of a Redis that speaks TLS only."""
    files = {"cert-file": "redis.pem", "key-file": "redis.key", "ca-cert-file": "ca.pem"}
    named = [part for key, name in files.items() for part in (f"--tls-{key}", f"{folder}/{name}")]
    return ("--port", "0", "--tls-port", "{port}", *named, "--tls-auth-clients", clients)


def test_shows_a_password(tmp_path: Path) -> None:
    """A password in the URL is shown to Redis; without it there is no store."""
    with ExitStack() as ends:
        guarded = Server(tmp_path, "--requirepass", PASSWORD)
        ends.callback(guarded.kill)
        play(guarded.url.replace("://", f"://:{PASSWORD}@"), a_replica_and_a_service)
        asyncio.run(finds_no_redis(guarded.url))


@needs_openssl
def test_shares_over_tls(folder: Path) -> None:
    """With the CA in the URL and a certificate to show; a server that is not signed by a known CA is no store."""
    with ExitStack() as ends:
        guarded = Server(folder, *tls(folder, "yes"), "--requirepass", PASSWORD)
        ends.callback(guarded.kill)
        url = guarded.url.replace("redis://", f"rediss://:{PASSWORD}@")
        own = f"ssl_certfile={folder}/redis.pem&ssl_keyfile={folder}/redis.key"
        play(f"{url}?ssl_ca_certs={folder}/ca.pem&{own}", a_replica_and_a_service)
        asyncio.run(finds_no_redis(f"{url}?{own}"))
        asyncio.run(finds_no_redis(f"{url}?ssl_ca_certs={folder}/ca.pem"))


class Cluster:
    """Several nodes, the slots shared out among them."""

    def __init__(self, nodes: Sequence[Server], cli: Sequence[str]) -> None:
        self.nodes = nodes
        self._cli = cli

    def ask(self, node: Server, *words: str) -> str:
        command = ["redis-cli", "-h", ADDRESS, "-p", str(node.port), *self._cli, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

    def create(self, replicas: int) -> None:
        """Share out the slots; nodes beyond three per `1 + replicas` stand by for others."""
        places = [f"{ADDRESS}:{node.port}" for node in self.nodes]
        self.ask(
            self.nodes[0],
            "--cluster",
            "create",
            *places,
            "--cluster-replicas",
            str(replicas),
            "--cluster-yes",
        )
        for node in self.nodes:
            self.wait_for(node)

    def wait_for(self, node: Server) -> None:
        """Until a node is well, and in step: a stand-by that never was is not let in."""
        deadline = time.monotonic() + 15
        while "cluster_state:ok" not in self.ask(node, "cluster", "info") or self.is_behind(node):
            assert time.monotonic() < deadline, self.ask(node, "cluster", "nodes")

    def is_behind(self, node: Server) -> bool:
        return "master_link_status:down" in self.ask(node, "info", "replication")

    def holder(self) -> Server:
        """Who has the registries' keys."""
        slot = int(self.ask(self.nodes[0], "cluster", "keyslot", "{muster-registry}"))
        for line in self.ask(self.nodes[0], "cluster", "nodes").splitlines():
            place, flags, slots = line.split()[1], line.split()[2], line.split()[8:]
            ranges = [part.split("-") for part in slots if not part.startswith("[")]
            if "master" in flags and any(int(ends[0]) <= slot <= int(ends[-1]) for ends in ranges):
                port = int(place.partition("@")[0].rpartition(":")[2])
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError


@contextmanager
def cluster(folder: Path, size: int, *options: str, cli: Sequence[str] = ()) -> Iterator[Cluster]:
    with ExitStack() as ends:
        nodes = []
        for number in range(size):
            own = folder / str(number)
            own.mkdir()
            nodes.append(Server(own, *QUICK, "--cluster-port", str(free_port()), *options))
            ends.callback(nodes[-1].kill)
        made = Cluster(nodes, cli)
        made.create(replicas=size // 3 - 1)
        yield made


def test_shares_through_a_cluster_and_outlives_a_node_of_it(tmp_path: Path) -> None:
    """Of three nodes with a stand-by each, the one that has the keys is killed: nobody is lost, and it goes on."""
    guarded = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
    with cluster(tmp_path, 6, *guarded, cli=["--no-auth-warning", "-a", PASSWORD]) as nodes:
        holder = nodes.holder()
        entry = next(node for node in nodes.nodes if node is not holder)

        async def scenario(one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
            await a_replica_and_a_service(one, other)
            async with connected(one):
                await shows(other, "a", "r1")
                holder.kill()
                await until(lambda: is_alone(one))
                await shows(one, "a", "r1")
                await shows(other, "a", "r1")
                await register(other, "b")
                await until(lambda: is_shared(one), within=20)
                await until(lambda: is_shared(other), within=20)
                await shows(one, "a", "b", "r1")
            await shows(other, "a", "b")
            await shows(one, "a", "b")

        url = entry.url.replace("redis://", f"redis+cluster://:{PASSWORD}@")
        play(url, scenario)


@needs_openssl
def test_shares_through_a_cluster_over_tls(folder: Path) -> None:
    """`rediss+cluster://`: every node is spoken to over TLS, also those that were only heard of."""
    options = (
        *tls(folder, "no"),
        "--tls-cluster",
        "yes",
        "--tls-replication",
        "yes",
        "--requirepass",
        PASSWORD,
    )
    cli = ["--tls", "--cacert", f"{folder}/ca.pem", "--no-auth-warning", "-a", PASSWORD]
    with cluster(folder, 3, *options, cli=cli) as nodes:
        entry = next(node for node in nodes.nodes if node is not nodes.holder())
        url = entry.url.replace("redis://", f"rediss+cluster://:{PASSWORD}@")
        play(f"{url}?ssl_ca_certs={folder}/ca.pem", a_replica_and_a_service)
