"""`--workers`: several processes on one port, with one mind; replaced when they die, and one by one on SIGHUP."""

import asyncio
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from system.gateway import processes
from system.gateway.settings import GatewayConfig
from system.testing import Running, running

pytestmark = pytest.mark.slow

ADDRESS = "127.77.21.3"
WORKERS = 2
DEADLINE = 30.0


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    """Two processes without Redis, whose only provider refuses connections."""
    with socket.socket() as nobody:
        nobody.bind((ADDRESS, 0))
        env = {
            "OPENAI_API_KEY": "sk-test-key-of-nobody-00000000",
            "OPENAI_BASE_URL": f"http://{ADDRESS}:{nobody.getsockname()[1]}/v1",
        }
        argv = ["system", "gateway", "--host", ADDRESS, "--port", "0", "--workers", str(WORKERS)]
        with running(*argv, "--redis", "none", ready="", env=env) as program:
            program.url = program.wait_for_line(r"ready on (\S+)", DEADLINE)[1]
            yield program


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}"
        time.sleep(0.02)


def worker(url: str) -> int:
    """Which process answers a new connection."""
    return int(httpx.get(f"{url}/health/live", timeout=10).json()["worker_id"])


def workers(url: str) -> set[int]:
    """All processes: as many as there should be."""
    seen: set[int] = set()

    def all_seen() -> bool:
        seen.add(worker(url))
        return len(seen) >= WORKERS

    until(all_seen, f"{WORKERS} processes answer")
    return seen


@contextmanager
def asking(url: str) -> Iterator[list[str]]:
    """Clients that ask all the time, over connections that they keep; yields what went wrong."""
    wrong: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=10) as client:
            while not enough.is_set():
                try:
                    answer = client.get("/health/live")
                    if answer.status_code != 200:
                        wrong.append(f"{answer.status_code}: {answer.text}")
                except httpx.HTTPError as error:
                    wrong.append(repr(error))
                enough.wait(0.005)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def test_all_processes_answer_on_one_port(gateway: Running) -> None:
    """Whoever opens connections sees all of them, by the worker_id in every answer; log lines have it, too."""
    assert len(workers(gateway.url)) == WORKERS
    answer = httpx.get(f"{gateway.url}/health/live")
    assert answer.headers["x-worker-id"] == str(answer.json()["worker_id"])
    for pid in workers(gateway.url):
        gateway.wait_for_line(rf" - INFO - \[Worker:{pid}\] - Worker {pid} ready to handle requests")


def test_processes_agree_without_redis(gateway: Running) -> None:
    """What few of them have seen, all of them know; and they say what they share through."""
    for _ in range(5):
        httpx.post(f"{gateway.url}/chat/direct", json={"message": "Hello"}, timeout=10)
    states: dict[int, str] = {}

    def all_open() -> bool:
        page = httpx.get(f"{gateway.url}/health").json()
        assert (page["redis_connected"], page["sync_enabled"]) == (False, True)
        states[page["worker_id"]] = page["providers"][0]["circuit_state"]
        return list(states.values()) == ["OPEN"] * WORKERS

    until(all_open, f"all circuits are open: {states}")


def test_a_killed_process_is_replaced(gateway: Running) -> None:
    """Connections that come meanwhile are answered."""
    before = workers(gateway.url)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    gateway.wait_for_line(rf"worker {victim} ended with -9: starting another", DEADLINE)
    until(lambda: worker(gateway.url) not in before, "a new process answers")
    after = workers(gateway.url)
    assert victim not in after
    assert len(after) == WORKERS


def test_a_process_that_no_longer_moves_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep whoever connects to it waiting for ever."""
    monkeypatch.setattr(processes, "SILENT", 2.0)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key-of-nobody-00000000")
    before = logging.getLogger().handlers[:]

    async def scenario() -> None:
        config = GatewayConfig(host=ADDRESS, port=0, workers=WORKERS, redis="none", drain=1.0)
        async with processes.processes(config) as serving:
            pids = await asyncio.to_thread(workers, serving.url)
            os.kill(min(pids), signal.SIGSTOP)
            await asyncio.to_thread(until, lambda: not Path(f"/proc/{min(pids)}").exists(), "it is ended")
            after = await asyncio.to_thread(workers, serving.url)
            assert min(pids) not in after
            assert max(pids) in after

    try:
        asyncio.run(scenario())
    finally:
        logging.getLogger().handlers[:] = before


def test_rolling_restart_loses_no_request(gateway: Running) -> None:
    """On SIGHUP every process is followed by a new one, while clients keep their connections busy."""
    before, lines = workers(gateway.url), len(gateway.lines)
    with asking(gateway.url) as wrong:
        gateway.signal(signal.SIGHUP)
        gateway.wait_for_line(r"rolling restart: done", DEADLINE, after=lines)
        for pid in before:
            gateway.wait_for_line(rf"Worker {pid} shutdown complete", DEADLINE, after=lines)
    assert wrong == []
    assert not workers(gateway.url) & before


def test_a_port_that_is_taken_is_known_at_once(gateway: Running) -> None:
    """One line, and no process is left."""
    port = re.search(r":(\d+)$", gateway.url)
    assert port is not None
    argv = ["system", "gateway", "--host", ADDRESS, "--port", port[1], "--workers", "2", "--redis", "none"]
    with running(*argv, ready="", env={"OPENAI_API_KEY": "sk-test-key-of-nobody-00000000"}) as second:
        assert second.wait(DEADLINE) == 1
    assert f"port {port[1]} on {ADDRESS} is taken" in second.output


def test_nobody_outlives_the_parent() -> None:
    """A parent that is killed takes its processes with it; they leave by themselves."""
    argv = ["system", "gateway", "--host", ADDRESS, "--port", "0", "--workers", "2", "--redis", "none"]
    with running(*argv, ready="", env={"OPENAI_API_KEY": "sk-test-key-of-nobody-00000000"}) as program:
        url = program.wait_for_line(r"ready on (\S+)", DEADLINE)[1]
        pids = workers(url)
        program.signal(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), f"{pids} are gone")
