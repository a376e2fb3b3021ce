"""A gateway each of whose processes probes by itself when the time has come, whoever does so already.

Must be caught by check `http`, in step "the first provider fails::it fails slowly, so that its probes would
be seen side by side::four processes sent it one probe at a time".
"""

from mock_services.gateway_planting import defective_gateway
from system.gateway.permits import Permit, Refused
from system.gateway.sharing import SharedBreakers


async def claim_nowhere(self: SharedBreakers, provider: str) -> Permit | Refused:
    """Take the probe without asking anybody."""
    standing = self._standings[provider]
    wanted = standing.to_claim(self._moment())
    standing.adopt(wanted)
    return Permit(self, provider, wanted)


PARTS = {(SharedBreakers, "_claim"): claim_nowhere}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
