"""A registry that lists a replica's new endpoint and still sends clients to the one it had first.

Must be caught by check `routing`, in step "clients ask all the while".
"""

from collections.abc import Sequence

from mock_services.planting import defective
from system.registry import program
from system.registry.matching import Capability, Index
from system.registry.member import Member

put = Index.put


def put_once(self: Index, member: Member, offers: Sequence[Capability]) -> None:
    """Whoever is in the index already is known well enough."""
    if member.id not in self:
        put(self, member, offers)


PROGRAM = defective(program.PROGRAM, __doc__, {(Index, "put"): put_once})
