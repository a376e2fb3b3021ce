"""A registry that takes a replica's word that it will renew, and never looks whether it does.

Must be caught by check `unregistered`, in step "clients ask all the while::a replica that renews freezes::it
is forgotten after its ttl of 2 s".
"""

from mock_services.planting import defective
from system.leases import Terms
from system.registry import program
from system.registry.entries import CONTRACT_TERMS, Entry


def trusting(self: Entry) -> Terms | None:
    """Of a replica its connection is proof enough."""
    return CONTRACT_TERMS if self.kind == "service" else None


PROGRAM = defective(program.PROGRAM, __doc__, {(Entry, "terms"): property(trusting)})
