"""A router whose policy least-outstanding never looks at what is under way, so that a slow backend
gets its share.

Must be caught by check `served_by`, in step "C is slow::least-outstanding gives it little".
"""

from mock_services.planting import defective
from system.router import program
from system.router.policies import POLICIES
from system.router.policies.random_choice import RandomChoice

POLICIES_OF_IT = {**POLICIES, "least-outstanding": RandomChoice}

PROGRAM = defective(program.PROGRAM, __doc__, {(program, "POLICIES"): POLICIES_OF_IT})
