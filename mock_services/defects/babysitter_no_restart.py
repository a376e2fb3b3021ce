"""A babysitter that leaves a dead backend dead.

Must be caught in step "the backend of A is killed", which expects its supervisor to bring it back.
"""

import asyncio

from mock_services.planting import defective
from system.babysitter import babysitter, program
from system.babysitter.supervisor import Supervisor


class ResignedSupervisor(Supervisor):
    """One life, then nothing."""

    async def run(self) -> str:
        await self._life()
        await asyncio.Event().wait()
        return "unreachable: nobody sets the event"


PROGRAM = defective(program.PROGRAM, __doc__, {(babysitter, "Supervisor"): ResignedSupervisor})
