"""SIGKILL, as a crash or a power cut of a machine does it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.faults.lives import Ended, Revive, ended, killed
from harness.options import TargetName
from harness.quantities import Duration

if TYPE_CHECKING:
    from harness.faults.base import Receipt, Scene
    from harness.hosts.base import Target


@dataclass(frozen=True, slots=True)
class Kill:
    """Kills a service, a service's child, or all services of a host at once (SIGKILL: no time to tidy up).

    Proof: every process that was hit is gone. It ends with the target running and ready again.

    ```yaml
    - name: the backend of A crashes
      fault: {kill: babysitter-a.backend, revive: supervisor}
      steps:
        - name: the other one takes over
          expect: {assigned: {babysitter-c-server: [model-1]}, within: 5s}
    ```
    """

    needs: ClassVar[str] = "Signals"

    target: TargetName
    """Whom to kill."""
    _: KW_ONLY
    revive: Revive | None = None
    """Who starts it again: its `supervisor` (a child's own service; the default for a child), the `harness`
    (the default for services and hosts; of a child it restarts the whole service), or `nobody`."""
    revive_within: Duration = 30.0
    """How long it may take to be ready again."""
    within: Duration = 5.0
    """How long its processes may take to be gone."""

    def inject(self, scene: Scene) -> AbstractAsyncContextManager[Receipt]:
        return ended(scene, self.target, self._end, self.revive, self.revive_within)

    async def _end(self, scene: Scene, target: Target) -> Ended:
        return await killed(scene, target, self.within)
