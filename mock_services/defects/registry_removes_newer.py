"""A registry that removes an id when any connection that ever held it ends, whoever holds it by then.

Must be caught by check `registered`, in step "clients ask all the while::the id stays registered".
"""

import contextlib

from mock_services.planting import defective
from system.leases import LeaseError
from system.registry import program
from system.registry.replicas import Held


def remove_by_id(self: Held) -> None:
    """Clean up after a connection without asking whose the entry is."""
    with contextlib.suppress(LeaseError):
        self._context.live.table.remove(self._lease.key, "disconnected")


PROGRAM = defective(program.PROGRAM, __doc__, {(Held, "_end"): remove_by_id})
