"""What disturbs, and heals."""

from __future__ import annotations

from harness.faults.base import Fault
from harness.kinds import Kinds

FAULTS: Kinds[Fault] = Kinds(
    "fault",
    {
        "kill": "harness.faults.kill:Kill",
        "misbehave": "harness.faults.misbehave:Misbehave",
        "partition": "harness.faults.partition:Partition",
        "pause": "harness.faults.pause:Pause",
        "restart": "harness.faults.restart:Restart",
        "stop": "harness.faults.stop:Stop",
    },
)

__getattr__ = FAULTS.attribute
