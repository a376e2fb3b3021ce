"""A gateway that passes over a provider whose circuit is open, and so never finds out that it is well again.

Must be caught by check `circuits`, in step "chats go on, and find it well::every process takes it back".
"""

from mock_services.gateway_planting import defective_gateway
from system.breaker import OPEN
from system.gateway.standing import Answer, Standing


def ask(self: Standing, now: float) -> Answer:
    """Open is open."""
    return Answer.WAIT if self.circuit.state is OPEN else asked(self, now)


asked = Standing.ask
PARTS = {(Standing, "ask"): ask}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
