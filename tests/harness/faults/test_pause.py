"""Freezing processes, and proof that they stayed frozen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from harness.faults.base import NoReceipt
from harness.faults.pause import Pause
from harness.hosts.base import Process, Target, signals
from harness.testing import FakeScene

OnStage = Callable[[Callable[[FakeScene], Any]], None]


async def states(stage: FakeScene, service: str, *, child: bool = False) -> list[str]:
    return [process.state for process in await of(stage, service, child=child)]


async def of(stage: FakeScene, service: str, *, child: bool = False) -> list[Process]:
    return list(await signals(stage.hosts).processes(Target(service=service, child=child)))


def test_a_paused_host_is_frozen_whole_and_runs_again(on_stage: OnStage) -> None:
    """All services of the host and their children are in state T, and after the fault none is."""

    async def body(stage: FakeScene) -> None:
        async with Pause("server1").inject(stage) as receipt:
            assert await states(stage, "router") == ["T"]
            assert await states(stage, "babysitter") == ["T", "T"]
            assert "T" not in await states(stage, "stubborn")
        assert "T" not in await states(stage, "router") + await states(stage, "babysitter")
        assert [line.split(":")[0] for line in receipt.effect] == ["router", "babysitter"]
        assert "SIGSTOP to pid" in receipt.effect[0]
        assert "state T after 0." in receipt.effect[0]
        assert "SIGCONT to pid" in receipt.healed[1]
        assert "runs and is ready after" in receipt.healed[1]

    on_stage(body)


def test_a_paused_child_alone(on_stage: OnStage) -> None:
    """Its service goes on running."""

    async def body(stage: FakeScene) -> None:
        async with Pause("babysitter.backend").inject(stage):
            assert await states(stage, "babysitter") == ["S", "T"]

    on_stage(body)


def test_a_process_that_was_resumed_in_between_has_no_receipt(on_stage: OnStage) -> None:
    """Somebody's SIGCONT in mid-fault is found out at its end; nothing is left frozen."""

    async def body(stage: FakeScene) -> None:
        (router,) = await of(stage, "router")
        with pytest.raises(NoReceipt, match=rf"router: pid {router.pid} .* ran again \(state \w\) before"):
            async with Pause("router").inject(stage):
                os.kill(router.pid, signal.SIGCONT)
        assert "T" not in await states(stage, "router")

    on_stage(body)


def test_a_process_that_ended_in_between_has_no_receipt(on_stage: OnStage) -> None:
    """A frozen service that somebody killed was not just frozen."""

    async def body(stage: FakeScene) -> None:
        async def crash() -> None:
            os.kill(router.pid, signal.SIGKILL)
            await stage.service("router").exited()

        (router,) = await of(stage, "router")
        with pytest.raises(NoReceipt, match=rf"router: pid {router.pid} .* ended while it was paused"):
            async with Pause("router").inject(stage):
                await crash()

    on_stage(body)


def test_an_error_inside_leaves_nothing_frozen(on_stage: OnStage) -> None:
    """The processes are woken however the nested steps ended."""

    async def body(stage: FakeScene) -> None:
        with pytest.raises(RuntimeError):
            async with Pause("server1").inject(stage):
                raise RuntimeError
        assert "T" not in await states(stage, "router") + await states(stage, "babysitter")

    on_stage(body)


def test_with_signals_that_do_nothing_there_is_no_receipt(
    on_stage: OnStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken kill is found out: the steps inside never run."""

    async def body(stage: FakeScene) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(os, "kill", lambda *_: None)
            broken.setattr(signal, "pidfd_send_signal", lambda *_: None)
            with pytest.raises(NoReceipt, match=r"router still runs 0.05 s after SIGSTOP: pid \d+"):
                async with Pause("router", within=0.05).inject(stage):
                    raise AssertionError

    on_stage(body)


def test_waking_that_does_nothing_has_no_receipt(on_stage: OnStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen processes that cannot be woken are said to be, not taken for healed."""

    async def body(stage: FakeScene) -> None:
        with (
            monkeypatch.context() as broken,
            pytest.raises(NoReceipt, match=r"router is still stopped 0.2 s after SIGCONT"),
        ):
            async with Pause("router", within=0.2).inject(stage):
                broken.setattr(signal, "pidfd_send_signal", lambda *_: None)

    on_stage(body)
