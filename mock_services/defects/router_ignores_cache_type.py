"""A router whose policy cache-type shares all prompts among all backends, however long they are.

Must be caught by check `served_by`, in step "short prompts go to paged caches, by weight".
"""

from mock_services.planting import defective
from system.router import program
from system.router.policies import POLICIES
from system.router.policies.weighted import Weighted

PROGRAM = defective(program.PROGRAM, __doc__, {(program, "POLICIES"): {**POLICIES, "cache-type": Weighted}})
