"""A balancer that takes a node for well as long as its connection stands, however long it has been silent.

Must be caught by check `unregistered`, in step "a node freezes::it is gone within five seconds".
"""

from mock_services.planting import defective
from system.balancer import program
from system.balancer.fleet import Fleet, Node


def silent(self: Fleet, now: float, longer_than: float) -> list[Node]:
    """No news is good news."""
    del self, now, longer_than
    return []


PROGRAM = defective(program.PROGRAM, __doc__, {(Fleet, "silent"): silent})
