"""Faults that end processes: kill, stop, restart."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.errors import CheckFailed
from harness.faults.base import NoReceipt, Receipt
from harness.faults.kill import Kill
from harness.faults.restart import Restart
from harness.faults.stop import Stop
from harness.hosts import process as process_hosts
from harness.hosts.base import Process, Target, signals
from harness.testing import FakeHosts, FakeScene, service_spec, topology_of, workspace_in

OnStage = Callable[[Callable[[FakeScene], Any]], None]


async def pids_of(stage: FakeScene, service: str, *, child: bool = False) -> list[int]:
    found: Sequence[Process] = await signals(stage.hosts).processes(Target(service=service, child=child))
    return [process.pid for process in found]


@pytest.mark.parametrize("fault", [Kill("router"), Stop("router")])
def test_a_service_is_down_during_the_fault_and_back_after_it(on_stage: OnStage, fault: Kill | Stop) -> None:
    """During the fault no process lives; after it, a new one does, and is ready."""

    async def body(stage: FakeScene) -> None:
        (before,) = await pids_of(stage, "router")
        async with fault.inject(stage) as receipt:
            assert await pids_of(stage, "router") == []
            receipts.append(receipt)
        (after,) = await pids_of(stage, "router")
        assert after != before

    receipts: list[Receipt] = []
    on_stage(body)
    (receipt,) = receipts
    sent = "SIGKILL" if isinstance(fault, Kill) else "SIGTERM"
    assert re.match(
        rf"router: {sent} to pid \d+ \(\S*python.*\): (gone|ended) after 0\.\d+ s", receipt.effect[0]
    )
    assert re.match(
        r"router: started again as pid \d+ .*, ready after \d\.\d+ s \(its log", receipt.healed[0]
    )


def test_a_killed_child_is_brought_back_by_its_service(on_stage: OnStage) -> None:
    """The service itself is untouched, a new child appears, and the receipt names it."""

    async def body(stage: FakeScene) -> None:
        main, child = await pids_of(stage, "babysitter")
        async with Kill("babysitter.backend").inject(stage) as receipt:
            pass
        now = await pids_of(stage, "babysitter")
        assert now[0] == main
        assert now[1] != child
        assert f"SIGKILL to pid {child} (sleep 67): gone after" in receipt.effect[0]
        assert f"started again by its supervisor as pid {now[1]} (" in receipt.healed[0]

    on_stage(body)


def test_a_supervisor_that_brings_nothing_back_has_failed(on_stage: OnStage) -> None:
    """`revive: supervisor` where no new child appears in time is the service's failure, in its name."""

    async def body(stage: FakeScene) -> None:
        (main, _) = await pids_of(stage, "babysitter")
        os.kill(main, signal.SIGSTOP)
        with pytest.raises(CheckFailed, match=r"babysitter did not bring its child back within 0.2 s"):
            async with Kill("babysitter.backend", revive_within=0.2).inject(stage):
                pass

    on_stage(body)


def test_the_harness_restarts_the_whole_service_of_a_child(on_stage: OnStage) -> None:
    """`revive: harness` on a child starts its service again."""

    async def body(stage: FakeScene) -> None:
        before = await pids_of(stage, "babysitter")
        async with Kill("babysitter.backend", revive="harness").inject(stage):
            pass
        assert set(before).isdisjoint(await pids_of(stage, "babysitter"))

    on_stage(body)


def test_a_whole_host_dies_at_once_and_comes_back_in_order(on_stage: OnStage) -> None:
    """Every service of the host has its line in the receipt, a service starts after what its spec names."""

    async def body(stage: FakeScene) -> None:
        untouched = await pids_of(stage, "stubborn")
        async with Kill("server1").inject(stage) as receipt:
            assert not stage.service("router").alive
            assert not stage.service("babysitter").alive
        assert [line.split(":")[0] for line in receipt.effect] == ["router", "babysitter"]
        assert len(receipt.healed) == 2
        router = (await signals(stage.hosts).processes(Target(service="router")))[0]
        babysitter = (await signals(stage.hosts).processes(Target(service="babysitter")))[0]
        assert router.born <= babysitter.born
        assert (await pids_of(stage, "stubborn"))[0] == untouched[0]

    on_stage(body)


def test_services_come_back_in_the_order_their_specs_ask_for(tmp_path: Path) -> None:
    """What starts `after` another service is started when that one is ready again."""
    done: list[str] = []

    async def main() -> None:
        specs = (service_spec("router", after=("registry",)), service_spec("registry"))
        async with AsyncExitStack() as stack:
            hosts = await stack.enter_async_context(
                FakeHosts.open(topology_of(*specs), workspace_in(tmp_path))
            )
            services = [await stack.enter_async_context(hosts.service(spec)) for spec in specs]
            hosts.on_start = lambda name: done.append(f"{name} starts")
            scene = FakeScene(hosts, SystemClock(), services, lambda target: done.append(f"{target} ready"))
            async with Kill("server1").inject(scene):
                pass

    asyncio.run(main())
    assert done == ["registry starts", "registry ready", "router starts", "router ready"]


def test_nobody_leaves_it_down(on_stage: OnStage) -> None:
    """`revive: nobody` ends with the service down, and says so."""

    async def body(stage: FakeScene) -> None:
        async with Kill("router", revive="nobody").inject(stage) as receipt:
            pass
        assert not stage.service("router").alive
        assert receipt.healed == ("router: left down, as asked",)

    on_stage(body)


def test_what_is_down_already_cannot_be_ended(on_stage: OnStage) -> None:
    """A fault that had nothing to hit has no receipt."""

    async def body(stage: FakeScene) -> None:
        async with Kill("router").inject(stage):
            with pytest.raises(NoReceipt, match="router is down already"):
                async with Stop("router").inject(stage):
                    raise AssertionError

    on_stage(body)


@pytest.mark.parametrize("fault", [Stop("stubborn", within=0.1), Restart("stubborn", within=0.1)])
def test_a_program_that_ignores_sigterm_was_not_stopped(on_stage: OnStage, fault: Stop | Restart) -> None:
    """It has to be killed, so the stop has no receipt; the service is started again all the same."""

    async def body(stage: FakeScene) -> None:
        with pytest.raises(NoReceipt, match=r"stubborn ignored SIGTERM for 0.1 s and had to be killed"):
            async with fault.inject(stage):
                raise AssertionError
        assert stage.service("stubborn").alive

    on_stage(body)


def test_a_child_that_ignores_sigterm_was_not_stopped(on_stage: OnStage) -> None:
    """The same holds for a child, which is left as it is."""

    async def body(stage: FakeScene) -> None:
        for pid in await pids_of(stage, "babysitter", child=True):
            os.kill(pid, signal.SIGSTOP)  # a stopped process does not act on SIGTERM
        with pytest.raises(
            NoReceipt, match=r"babysitter \(its child\) still lives 0.1 s after SIGTERM: pid \d+"
        ):
            async with Stop("babysitter.backend", within=0.1).inject(stage):
                raise AssertionError

    on_stage(body)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_is_over_before_its_steps_begin(on_stage: OnStage, how: Any) -> None:
    """Inside the fault the service already runs again, as another process."""

    async def body(stage: FakeScene) -> None:
        (before,) = await pids_of(stage, "router")
        async with Restart("router", how=how).inject(stage) as receipt:
            (after,) = await pids_of(stage, "router")
            assert after != before
            assert len(receipt.effect) == 2
            assert f"started again as pid {after}" in receipt.effect[1]
        assert f"router: still runs as pid {after}" in receipt.healed[0]

    on_stage(body)


def test_a_restarted_service_that_ends_again_has_no_receipt(on_stage: OnStage) -> None:
    """A service that does not live to the end of the fault was not restarted well."""

    async def body(stage: FakeScene) -> None:
        async def crash() -> None:
            os.kill((await pids_of(stage, "router"))[0], signal.SIGKILL)
            await stage.service("router").exited()

        with pytest.raises(NoReceipt, match="router was started again and has ended since"):
            async with Restart("router").inject(stage):
                await crash()

    on_stage(body)


def test_an_error_inside_still_brings_it_back(on_stage: OnStage) -> None:
    """A failing step inside the fault does not leave the service down for the steps after it."""

    async def body(stage: FakeScene) -> None:
        with pytest.raises(RuntimeError):
            async with Kill("router").inject(stage):
                raise RuntimeError
        assert stage.service("router").alive

    on_stage(body)


def test_a_service_that_does_not_come_back_is_named(
    on_stage: OnStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was killed and cannot be started again ends in NoReceipt with the reason."""

    async def no_start(*_: object) -> None:
        return None

    async def body(stage: FakeScene) -> None:
        with pytest.raises(NoReceipt, match=r"router ended .killed by SIGKILL. before it was ready"):
            async with Kill("router").inject(stage):
                monkeypatch.setattr(type(stage.hosts), "start", no_start)

    on_stage(body)


@pytest.mark.parametrize(
    "fault",
    [
        Kill("router", within=0.05),
        Kill("babysitter.backend", within=0.05),
        Kill("server1", within=0.05),
        Stop("router", within=0.05),
        Stop("babysitter.backend", within=0.05),
        Restart("router", within=0.05),
        Restart("router", how="kill", within=0.05),
    ],
    ids=str,
)
def test_with_signals_that_do_nothing_no_fault_has_a_receipt(
    on_stage: OnStage, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    """A broken kill is found out: the fault cannot be proven, so its steps never run."""

    async def body(stage: FakeScene) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(os, "kill", lambda *_: None)
            broken.setattr(os, "killpg", lambda *_: None)
            broken.setattr(signal, "pidfd_send_signal", lambda *_: None)
            broken.setattr(process_hosts, "_KILL_WITHIN", 0.05)
            with pytest.raises(NoReceipt):
                async with fault.inject(stage):
                    raise AssertionError

    on_stage(body)


def test_cancelling_does_not_start_anything_again(on_stage: OnStage) -> None:
    """A run that is interrupted in mid-fault is torn down, not repaired."""

    async def body(stage: FakeScene) -> None:
        with pytest.raises(asyncio.CancelledError):
            async with Kill("router").inject(stage):
                raise asyncio.CancelledError
        assert not stage.service("router").alive

    on_stage(body)
