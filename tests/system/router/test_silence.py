"""Frozen backends: their kernel accepts and acknowledges, and nobody answers. With scripted backends."""

import asyncio
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from system.router.suspicion import Suspicion
from tests.system.router.stage import (
    ADDRESS,
    STREAM_HEAD,
    Call,
    FakeBackend,
    Script,
    Stage,
    answers,
    chunk,
    play,
    router,
    until,
)

# No regular probe finds out anything: what these tests see is what suspicion does.
QUICK: dict[str, Any] = {"probe_interval": 60.0, "suspect_after": 0.02, "suspect_timeout": 0.1}


async def retries(stage: Stage) -> list[str]:
    page = (await stage.ask("GET", "/metrics")).body.decode()
    return [line for line in page.splitlines() if line.startswith("muster_router_retries_total{")]


def test_request_to_a_frozen_backend_is_answered_by_another(tmp_path: Path) -> None:
    """It owes an answer, is silent and does not answer a probe: another is asked, and it is avoided until it thaws."""

    async def scene() -> None:
        frozen, alive = FakeBackend("frozen"), FakeBackend("alive")
        async with router(tmp_path, frozen, alive, policy="round-robin", **QUICK) as stage:
            frozen.silent = True
            served = [(await stage.chat()).headers["x-muster-backend"] for _ in range(6)]
            assert served == ["alive"] * 6
            assert await retries(stage) == ['muster_router_retries_total{cause="hedge"} 1']
            assert not (await stage.services())["frozen"]["healthy"]
            frozen.silent = False

            async def used_again() -> bool:
                return (await stage.chat()).headers["x-muster-backend"] == "frozen"

            await until(used_again)
            assert all(one["outstanding"] == 0 for one in (await stage.services()).values())

    play(scene())


def test_slow_backend_that_answers_probes_keeps_its_requests(tmp_path: Path) -> None:
    """Computing for long is no offence: nothing is sent twice, and nobody is avoided."""

    async def computes(backend: FakeBackend, call: Call) -> None:
        await asyncio.sleep(0.6)
        await answers(backend, call)

    async def scene() -> None:
        backends = [FakeBackend("a", computes), FakeBackend("b", computes)]
        async with router(tmp_path, *backends, **QUICK) as stage:
            assert {(await stage.chat()).status for _ in range(2)} == {200}
            assert sum(len(backend.calls) for backend in backends) == 2
            assert await retries(stage) == []
            assert all(one["healthy"] for one in (await stage.services()).values())

    play(scene())


def test_what_may_not_be_repeated_waits_until_the_backend_thaws(tmp_path: Path) -> None:
    """/v1/responses stores things: it is not sent to another, and answered late."""

    async def scene() -> None:
        backends = [FakeBackend("a"), FakeBackend("b")]
        async with router(tmp_path, *backends, **QUICK) as stage:
            for backend in backends:
                backend.silent = True
            asked = asyncio.ensure_future(stage.ask("POST", "/v1/responses", b'{"model":"m"}'))

            async def suspected() -> bool:
                return not all(one["healthy"] for one in (await stage.services()).values())

            await until(suspected)
            for backend in backends:
                backend.silent = False
            assert (await asked).status == 200
            assert sum(len(backend.calls) for backend in backends) == 1

    play(scene())


def test_only_backend_keeps_its_requests_while_it_is_frozen(tmp_path: Path) -> None:
    """There is nobody else to ask: the request waits, and is answered when the backend thaws."""

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path, backend, **QUICK) as stage:
            backend.silent = True
            asked = asyncio.ensure_future(stage.chat())

            async def suspected() -> bool:
                return not (await stage.services())["a"]["healthy"]

            await until(suspected)
            backend.silent = False
            assert (await asked).status == 200
            assert len(backend.calls) == 1

    play(scene())


@dataclass
class Debtor:
    """What suspicion looks at."""

    outstanding: int = 1
    heard_at: float = 0.0
    looked_at: float = -1.0
    patience: float = 0.0


def looks(backend: Debtor, start: float, end: float) -> list[float]:
    """When a backend that answers every look is looked at."""
    suspicion, found = Suspicion(0.125), []
    for now in (tick / 64 for tick in range(int(start * 64), int(end * 64))):
        if suspicion.is_due(backend, now):
            suspicion.allay(backend, now)
            found.append(now)
    return found


def test_looks_become_rare_while_a_silence_lasts() -> None:
    """After 1/8 s, then 1/4, 1/2, 1 s more; a word from the backend starts over; who owes nothing is left alone."""
    backend = Debtor()
    assert looks(backend, 0.0, 3.0) == [0.125, 0.375, 0.875, 1.875]
    backend.heard_at = 3.0
    assert looks(backend, 3.0, 3.5) == [3.125, 3.375]
    backend.outstanding = 0
    assert looks(backend, 3.5, 9.0) == []


def test_suspicion_can_be_switched_off() -> None:
    """0 seconds mean never, not always."""
    assert not Suspicion(0.0).is_due(Debtor(), 1000.0)


ONE = chunk(b"data: 1\n\n")


async def pauses(_: FakeBackend, call: Call) -> None:
    await call.send(STREAM_HEAD + ONE)
    assert await call.reader.read(1) == b""
    raise ConnectionResetError


async def never_ends(_: FakeBackend, call: Call) -> None:
    await call.send(STREAM_HEAD)
    while True:
        await call.send(ONE)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("script", "timeout"), [(pauses, {"gap_timeout": 0.2}), (never_ends, {"total_timeout": 0.2})]
)
def test_stream_that_takes_too_long_ends_with_an_error_event(
    tmp_path: Path, script: Script, timeout: dict[str, Any]
) -> None:
    """A pause in it or all of it: the client is told, and the backend's connection closed."""

    async def scene() -> None:
        backend = FakeBackend("a", script)
        async with router(tmp_path, backend, **timeout) as stage:
            body = (await stage.chat()).body
            assert body.startswith(b"data: 1\n\n")
            event = json.loads(body.split(b"\n\n")[-2].removeprefix(b"data: "))
            assert event["error"]["code"] == "stream_broken"
            await until(lambda: backend.left == 1)

    play(scene())


def test_backend_that_nobody_can_connect_to_is_left(tmp_path: Path) -> None:
    """Its queue of connections is full and nobody takes them: after the time to connect another is asked."""

    async def scene() -> None:
        with socket.socket() as full:
            full.bind((ADDRESS, 0))
            full.listen(0)
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]
            for one in fillers:
                one.settimeout(0)
                one.connect_ex((ADDRESS, port))
            stuck, alive = FakeBackend("stuck", port=port), await FakeBackend("alive").start()
            async with router(
                tmp_path, stuck, alive, start=False, policy="round-robin", connect_timeout=0.2
            ) as stage:
                served = [(await stage.chat()).headers["x-muster-backend"] for _ in range(4)]
                assert served == ["alive"] * 4
                assert "connect timeout" in (await stage.services())["stuck"]["reason"]
            for one in fillers:
                one.close()

    play(scene())
