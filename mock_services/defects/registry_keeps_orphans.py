"""A registry that goes on listing the replicas of another registry that has died.

Must be caught by check `unregistered`, in step "one registry is killed::the other forgets who was connected
there".
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.shared import Shared


def unmoved(self: Shared, members: set[str], now: float) -> None:
    """Their keeper is gone, they may be well."""
    del self, members, now


PROGRAM = defective(program.PROGRAM, __doc__, {(Shared, "gone"): unmoved})
