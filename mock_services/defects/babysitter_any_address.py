"""A babysitter that registers 0.0.0.0, the address it would listen on, rather than the one others reach.

Must be caught by check `distribution`, in step "model-1 is shared evenly by the services that have it": the
router cannot reach the service and gives its share to others. The details of the verdict name the address.
"""

from mock_services.planting import defective
from system.babysitter import babysitter, program

PROGRAM = defective(program.PROGRAM, __doc__, {(babysitter, "_advertised"): lambda _: "0.0.0.0"})
