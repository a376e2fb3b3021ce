"""Down and up again, as the roll-out of a new version does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.faults.base import NoReceipt, Receipt
from harness.faults.lives import Ended, at_once, ended, killed, living, pids, stopped
from harness.hosts.base import signals
from harness.options import TargetName
from harness.quantities import Duration

if TYPE_CHECKING:
    from harness.faults.base import Scene
    from harness.hosts.base import Target

_HOW = {"stop": stopped, "kill": killed}


@dataclass(frozen=True, slots=True)
class Restart:
    """Restarts a service, a service's child, or all services of a host.

    They are back and ready before the nested steps begin. Proof: what ran before is gone, what runs now has
    another pid or start time, and still runs at the end of the fault. A child is started by its own service.

    ```yaml
    - name: the registry restarts
      fault: {restart: registry, how: kill}
      steps:
        - name: everything registers again
          expect: {registered: [babysitter-a-server, babysitter-b-server], within: 10s}
    ```
    """

    needs: ClassVar[str] = "Starts"

    target: TargetName
    """Whom to restart."""
    _: KW_ONLY
    how: Literal["stop", "kill"] = "stop"
    """SIGTERM and a chance to tidy up, or SIGKILL."""
    within: Duration = 10.0
    """How long it may take to end."""
    revive_within: Duration = 30.0
    """How long it may take to be ready again."""

    @asynccontextmanager
    async def inject(self, scene: Scene) -> AsyncIterator[Receipt]:
        targets = living(scene, self.target)
        async with ended(scene, self.target, self._end, None, self.revive_within) as receipt:
            pass
        receipt.effect, receipt.healed = (*receipt.effect, *receipt.healed), ()
        yield receipt
        receipt.healed = tuple(await at_once(_still_runs(scene, target) for target in targets))

    async def _end(self, scene: Scene, target: Target) -> Ended:
        return await _HOW[self.how](scene, target, self.within)


async def _still_runs(scene: Scene, target: Target) -> str:
    processes = await signals(scene.hosts).processes(target)
    if not processes:
        msg = f"{target} was started again and has ended since"
        raise NoReceipt(msg)
    return f"{target}: still runs as {pids(processes)}"
