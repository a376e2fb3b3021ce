"""A registry that goes on naming a replica that is being drained.

Must be caught by check `routing`, in step "it stays listed, and nobody is sent there any
more".
"""

from mock_services.planting import defective
from system.leases import Lease
from system.registry import program
from system.registry.entries import Entry


def routable(self: Entry, lease: Lease) -> bool:
    """Whoever is listed will do."""
    del self, lease
    return True


PROGRAM = defective(program.PROGRAM, __doc__, {(Entry, "routable"): routable})
