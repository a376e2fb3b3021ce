"""A balancer that gives the largest model to everybody, whatever points they have and whether it fits.

Must be caught by check `assigned`, in step "each has the model that it can carry".
"""

from collections.abc import Mapping, Sequence

from mock_services.planting import defective
from system.balancer import program, serving
from system.balancer.assignment.deciding import Assigned, Candidate, Strategy
from system.balancer.models import Model


def strategy_of(name: str) -> Strategy:
    """Always the same one."""
    del name
    return largest


def largest(nodes: Sequence[Candidate], models: Sequence[Model]) -> Mapping[str, Assigned]:
    """The last one: models come with the smallest first."""
    return {node.id: Assigned(model=models[-1]) for node in nodes}


PROGRAM = defective(program.PROGRAM, __doc__, {(serving, "strategy_of"): strategy_of})
