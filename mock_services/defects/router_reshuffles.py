"""A router that finds the backend of a session by hash modulo their number: when one leaves, nearly all move.

Must be caught by check `moved`, in step "server 3 leaves::only its sessions move".
"""

from collections.abc import Sequence

from mock_services.planting import defective
from system.router import program
from system.router.backends import Backend
from system.router.policies import POLICIES
from system.router.policies.session import Session, hashed


class ModuloSession(Session):
    """Whoever comes or goes changes everybody's place."""

    def ranking(self, backends: Sequence[Backend], session: str) -> list[Backend]:
        first = hashed(session) % len(backends)
        return [*backends[first:], *backends[:first]]


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "POLICIES"): {**POLICIES, "session": ModuloSession}})
