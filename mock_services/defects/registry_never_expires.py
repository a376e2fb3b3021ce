"""A registry that keeps an entry for ever, however long its service has been silent.

Must be caught by check `unregistered`, in step "server 2 dies::its services are forgotten".
"""

from mock_services.planting import defective
from system.leases import Lease, Terms
from system.registry import program
from system.registry.context import Context
from system.registry.entries import Entry


class EternalContext(Context):
    """Nobody has to renew anything."""

    def admit(self, entry: Entry, terms: Terms | None, caller: str, now: float) -> Lease:
        return super().admit(entry, None, caller, now)


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Context"): EternalContext})
