"""A router whose policy session does not look at the session.

Must be caught by check `affinity`, in step "a session that is told by key has one backend".
"""

from mock_services.planting import defective
from system.router import program
from system.router.policies import POLICIES
from system.router.policies.least_outstanding import LeastOutstanding

PROGRAM = defective(
    program.PROGRAM, __doc__, {(program, "POLICIES"): {**POLICIES, "session": LeastOutstanding}}
)
