"""`python -m mock_services braggart`: a node that gives itself 100 points, whatever hardware it reports.

Points are the balancer's to compute; one that believes a node gives this one too large a model.
"""

from mock_services.planting import defective
from system.balancer.scoring import Specs
from system.component import Program
from system.node import program, serving

ABOUT = "A node that says of itself that it is worth 100 points, whatever hardware it reports."


def best(machine: Specs) -> float:
    """As many as there are."""
    del machine
    return 100.0


_PLANTED = defective(program.PROGRAM, ABOUT, {(serving, "performance_score"): best})
PROGRAM = Program(name="braggart", about=ABOUT, config=_PLANTED.config, serve=_PLANTED.serve)
