"""SIGTERM, as an operator or an orchestrator ends a program."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.faults.lives import Ended, Revive, ended, stopped
from harness.options import TargetName
from harness.quantities import Duration

if TYPE_CHECKING:
    from harness.faults.base import Receipt, Scene
    from harness.hosts.base import Target


@dataclass(frozen=True, slots=True)
class Stop:
    """Stops a service, a service's child, or all services of a host, as an operator would (SIGTERM).

    Proof: it ended by itself `within` the time given, its exit status is recorded. A program that has to be
    killed has not been stopped: the step is unknown. It ends with the target running and ready again.

    ```yaml
    - name: server 2 is shut down for maintenance
      fault: {stop: server2, within: 10s}
      steps:
        - name: it says good-bye
          expect: {unregistered: [babysitter-c-server, babysitter-d-server], within: 1s}
    ```
    """

    needs: ClassVar[str] = "Starts"

    target: TargetName
    """Whom to stop."""
    _: KW_ONLY
    within: Duration = 10.0
    """How long it may take to end by itself."""
    revive: Revive | None = None
    """Who starts it again, as in `kill`."""
    revive_within: Duration = 30.0
    """How long it may take to be ready again."""

    def inject(self, scene: Scene) -> AbstractAsyncContextManager[Receipt]:
        return ended(scene, self.target, self._end, self.revive, self.revive_within)

    async def _end(self, scene: Scene, target: Target) -> Ended:
        return await stopped(scene, target, self.within)
