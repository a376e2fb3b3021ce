"""A balancer that waits for everybody it has asked, however few answers would be enough.

Must be caught by check `answer`, in step "three of four are enough, and right".
"""

from mock_services.planting import defective
from system.balancer import program
from system.balancer.asking import Plan


def enough(self: Plan, asked: int) -> int:
    """One more cannot hurt."""
    del self
    return asked


PROGRAM = defective(program.PROGRAM, __doc__, {(Plan, "enough"): enough})
