"""A peer whose cable is pulled, on a network of its own; and what TCP is told."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from system.errors import UsageError
from system.registry.peers import Keepalive
from system.registry.program import RegistryConfig, serve

NEAR, FAR = "198.18.77.1", "198.18.77.2"
BUSY = 0.5  # seconds by which a busy machine may notice late
BODY = '{"replica_id":"r1","endpoint":"198.18.77.2:50051","capabilities":[{"model":"m"}]}'


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def cable() -> Iterator[str]:
    """A second machine on a cable: a network namespace whose end of the cable is called `far`."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and ip, to make a network namespace and to pull its cable")
    machine, near = f"muster-t{os.getpid()}", f"mt{os.getpid()}"
    with contextlib.ExitStack() as undo:
        ip("netns", "add", machine)
        undo.callback(ip, "netns", "delete", machine)
        ip("link", "add", near, "type", "veth", "peer", "name", "far", "netns", machine)
        undo.callback(ip, "link", "delete", near)
        ip("address", "add", f"{NEAR}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", machine, "address", "add", f"{FAR}/30", "dev", "far")
        ip("-n", machine, "link", "set", "far", "up")
        yield machine


@contextlib.contextmanager
def program(*flags: str) -> Iterator[str]:
    """The registry as a program; gives its URL."""
    command = [sys.executable, "-m", "system", "registry", "--host", NEAR, "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.slow
def test_a_peer_whose_cable_is_pulled_is_removed_within_the_bound(cable: str) -> None:
    """A plain curl behind a dead cable is gone after `--dead-after` at the latest, and not at once."""
    machine = cable
    with program("--dead-after", "3s") as url:
        curl = ["ip", "netns", "exec", machine, "curl", "-s", "-N", "-X", "POST", f"{url}/register"]
        peer = subprocess.Popen(
            [*curl, "-H", "Content-Type: application/json", "-d", BODY], stdout=subprocess.PIPE
        )
        try:
            assert peer.stdout is not None
            assert b"registered" in peer.stdout.readline()
            ip("-n", machine, "link", "set", "far", "down")
            pulled = time.monotonic()
            while httpx.get(f"{url}/route?model=m").status_code == 200:
                assert time.monotonic() - pulled < 3.0 + BUSY
                time.sleep(0.02)
            assert time.monotonic() - pulled > 0.5
            assert 'reason="lost"} 1' in httpx.get(f"{url}/metrics").text
        finally:
            peer.kill()
            peer.communicate()


@pytest.mark.parametrize("bound", [3, 4, 5, 8, 10, 30, 60])
def test_what_tcp_is_told_keeps_the_bound(bound: int) -> None:
    """The user timeout, and the two intervals by which it may be noticed late, fit into the bound."""
    keepalive = Keepalive.within(bound)
    assert keepalive.user_timeout_ms / 1000 + 2 * keepalive.interval <= bound
    assert keepalive.idle >= 1


def test_refuses_a_bound_that_it_could_not_keep() -> None:
    """A bound below what TCP can count is wrong usage, and is told."""
    config = RegistryConfig(dead_after=2.5)
    with pytest.raises(UsageError, match=r"--dead-after 2.5s cannot be kept.*3 s at least"):
        asyncio.run(serve(config).__aenter__())
