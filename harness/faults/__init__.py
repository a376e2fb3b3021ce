"""What disturbs, and heals."""

from __future__ import annotations

from harness.faults.base import Fault
from harness.kinds import Kinds

FAULTS: Kinds[Fault] = Kinds(
    "fault",
    {
        "kill": "harness.faults.kill:Kill",
        "pause": "harness.faults.pause:Pause",
        "restart": "harness.faults.restart:Restart",
        "stop": "harness.faults.stop:Stop",
    },
)
