"""A registry that keeps an entry for ever, however long its service has been silent.

Must be caught by check `unregistered`, in step "server 2 dies::its services are forgotten".
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.entries import Entry


def eternal(self: Entry) -> None:
    """Nobody has to renew anything."""
    del self


PROGRAM = defective(program.PROGRAM, __doc__, {(Entry, "terms"): property(eternal)})
