"""A gateway whose circuits open on the first failure, whatever threshold it was given.

Must be caught by check `served_by`, in step "the first provider fails twice::the second answers those two
chats".
"""

from mock_services.gateway_planting import defective_gateway
from system.gateway.strategies.base import Tally
from system.gateway.strategies.consecutive import Consecutive


def count(self: Consecutive, tally: Tally, now: float) -> str:
    """One is enough."""
    del now
    self.failures = tally.bad
    return "a failure" if tally.bad else ""


PARTS = {(Consecutive, "count"): count}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
