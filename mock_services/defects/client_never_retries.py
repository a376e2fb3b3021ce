"""A client that gives up when the replica it knows is not there, though it may ask for another.

Must be caught by check `availability`, in step "clients that may retry call all the while::and so does an
application".
"""

from mock_services.planting import defective
from system.client import calling
from system.worker import program

PROGRAM = defective(program.PROGRAM, __doc__, {(calling, "MOST_TRIES"): 1})
