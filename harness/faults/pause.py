"""SIGSTOP, as a frozen machine, a stalled disk or a long garbage collection looks from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import KW_ONLY, dataclass
from signal import SIGCONT, SIGSTOP
from typing import TYPE_CHECKING, ClassVar

from harness.errors import MusterError
from harness.faults.base import NoReceipt, Receipt
from harness.faults.lives import at_once, holds, living, pids
from harness.hosts.base import signals
from harness.options import TargetName
from harness.quantities import Duration

if TYPE_CHECKING:
    from harness.faults.base import Scene
    from harness.hosts.base import Process, Target

_PAUSED = "Tt"


@dataclass(frozen=True, slots=True)
class Pause:
    """Freezes a service, a service's child, or all services of a host (SIGSTOP).

    Its connections stay open and unanswered. Proof: every process is in the stopped state after the request,
    and the same ones still are when the fault ends. Then they are woken (SIGCONT), seen to run, and ready.

    ```yaml
    - name: server 2 freezes
      fault: {pause: server2}
      steps:
        - name: its services are forgotten
          expect: {unregistered: [babysitter-c-server], within: 8s}
    ```
    """

    needs: ClassVar[str] = "Signals"

    target: TargetName
    """Whom to freeze."""
    _: KW_ONLY
    within: Duration = 5.0
    """How long freezing, and waking, may take."""
    revive_within: Duration = 30.0
    """How long it may take to be ready again."""

    @asynccontextmanager
    async def inject(self, scene: Scene) -> AsyncIterator[Receipt]:
        targets = living(scene, self.target)
        receipt = Receipt()
        try:
            frozen = await at_once(self._freeze(scene, target) for target in targets)
            receipt.effect = tuple(words for _, words in frozen)
            yield receipt
            kept = [(target, paused) for target, (paused, _) in zip(targets, frozen, strict=True)]
            await at_once(_still_paused(scene, target, paused) for target, paused in kept)
        finally:
            woken = await _wake(scene, targets)
        receipt.healed = tuple(
            await at_once(self._runs(scene, t, hit) for t, hit in zip(targets, woken, strict=True))
        )

    async def _freeze(self, scene: Scene, target: Target) -> tuple[Sequence[Process], str]:
        hosts, began = signals(scene.hosts), scene.clock.monotonic()
        hit = await hosts.signal(target, SIGSTOP)
        if not hit:
            msg = f"{target} has no live process that SIGSTOP could reach"
            raise NoReceipt(msg)
        if not await holds(scene, lambda: _all_paused(scene, target), self.within):
            lively = [p for p in await hosts.processes(target) if p.state not in _PAUSED]
            msg = f"{target} still runs {self.within:g} s after SIGSTOP: {pids(lively)}"
            raise NoReceipt(msg)
        took = scene.clock.monotonic() - began
        paused = await hosts.processes(target)
        return paused, f"{target}: SIGSTOP to {pids(hit)}: state T after {took:.3f} s"

    async def _runs(self, scene: Scene, target: Target, hit: Sequence[Process]) -> str:
        began = scene.clock.monotonic()

        async def runs() -> bool:
            found = await signals(scene.hosts).processes(target)
            return all(process.state not in _PAUSED for process in found)

        if not await holds(scene, runs, self.within):
            msg = f"{target} is still stopped {self.within:g} s after SIGCONT"
            raise NoReceipt(msg)
        by = await scene.until_ready(target)
        took = scene.clock.monotonic() - began
        return f"{target}: SIGCONT to {pids(hit)}: runs and is ready after {took:.3f} s ({by})"


async def _all_paused(scene: Scene, target: Target) -> bool:
    found = await signals(scene.hosts).processes(target)
    return bool(found) and all(process.state in _PAUSED for process in found)


async def _still_paused(scene: Scene, target: Target, paused: Sequence[Process]) -> None:
    now = {(p.pid, p.born): p for p in await signals(scene.hosts).processes(target)}
    for process in paused:
        found = now.get((process.pid, process.born))
        if found is None:
            msg = f"{target}: {pids([process])} ended while it was paused"
            raise NoReceipt(msg)
        if found.state not in _PAUSED:
            msg = f"{target}: {pids([process])} ran again (state {found.state}) before the pause was over"
            raise NoReceipt(msg)


async def _wake(scene: Scene, targets: Sequence[Target]) -> list[Sequence[Process]]:
    woken: list[Sequence[Process]] = []
    for target in targets:
        woken.append(())
        with suppress(MusterError):
            woken[-1] = await signals(scene.hosts).signal(target, SIGCONT)
    return woken
