"""A router that hashes sessions with a salt of its own, so that after a restart all of them move.

Must be caught by check `moved`, in step "it sends every session where it was".
"""

import os
from collections.abc import Sequence

from mock_services.planting import defective
from system.router import program
from system.router.backends import Backend
from system.router.policies import POLICIES
from system.router.policies.session import Session

SALT = os.urandom(8).hex()


class SaltedSession(Session):
    """Agrees with no other router, not even with the one that it was before."""

    def ranking(self, backends: Sequence[Backend], session: str) -> list[Backend]:
        return super().ranking(backends, SALT + session)


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "POLICIES"): {**POLICIES, "session": SaltedSession}})
