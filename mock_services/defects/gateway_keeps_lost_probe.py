"""A gateway whose processes take a probe for good: nobody else may send one, also when that process has died.

Must be caught by check `circuits`, in step "chats go on, and find the first provider well::the lost probe
keeps nobody from another".
"""

from dataclasses import replace

from mock_services.gateway_planting import defective_gateway
from system.gateway.standing import Standing
from system.gateway.transitions import Circuit, Moment


def claim_for_good(self: Standing, at: Moment) -> Circuit:
    """A lease of an hour."""
    return replace(claim(self, at), due=at.now + 3600)


claim = Standing.to_claim
PARTS = {(Standing, "to_claim"): claim_for_good}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
