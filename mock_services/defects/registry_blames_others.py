"""A registry that, after it stood still itself, takes everybody for dead who did not renew meanwhile.

Must be caught by check `registered`, in step "it blames nobody for what it missed".
"""

from mock_services.planting import defective
from system.leases import Leases
from system.registry import program


def no_excuse(self: Leases, late: float, now: float) -> None:
    """A lease is a lease."""
    del self, late, now


PROGRAM = defective(program.PROGRAM, __doc__, {(Leases, "excuse"): no_excuse})
