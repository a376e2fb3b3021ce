"""A registry that does not notice that a replica's connection was closed.

Must be caught by check `unregistered`, in step "clients ask all the while::a replica is killed::it is
forgotten at once", and by check `no_ghosts` at the end.
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.replicas import Held


def nothing(self: Held) -> None:
    """The connection has ended; so what."""
    del self


PROGRAM = defective(program.PROGRAM, __doc__, {(Held, "_end"): nothing})
