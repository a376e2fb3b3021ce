"""A balancer that keeps nodes in its table whose connection has ended.

Must be caught by check `unregistered`, in step
"questions go on::a node is killed in the middle of a question::it is gone at once".
"""

from mock_services.planting import defective
from system.balancer import program
from system.balancer.fleet import Node
from system.balancer.membership import Leases


def leave(self: Leases, node: Node, why: str) -> None:
    """It will be back."""
    del self, node, why


PROGRAM = defective(program.PROGRAM, __doc__, {(Leases, "leave"): leave})
