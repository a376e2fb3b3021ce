"""A registry whose /health answers 500, though all else works.

Must be caught by check `http`, in step "the registry is healthy".
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.http import Answer, Request, answer
from system.registry.status import Status


class UnhealthyStatus(Status):
    """Says that it is broken."""

    async def health(self, request: Request) -> Answer:
        return answer(500, {"status": "unhealthy"})


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Status"): UnhealthyStatus})
