"""A router whose weighted policy takes every backend in turn, whatever it weighs.

Must be caught by check `distribution`, in step "weighted gives 3, 2 and 1".
"""

from mock_services.planting import defective
from system.router import program
from system.router.policies import POLICIES
from system.router.policies.round_robin import RoundRobin

PROGRAM = defective(program.PROGRAM, __doc__, {(program, "POLICIES"): {**POLICIES, "weighted": RoundRobin}})
