"""A gateway that ends its processes at once when it is told to end, whatever they are in the middle of.

Must be caught by check `availability`, in step "the first provider takes its time::callers do not notice that
both gateways are restarted in turn".
"""

from mock_services.gateway_planting import defective_gateway
from system.gateway import processes


def leave(self: processes.Process) -> None:
    """No time to lose."""
    self.process.kill()


PARTS = {(processes.Process, "leave"): leave}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
