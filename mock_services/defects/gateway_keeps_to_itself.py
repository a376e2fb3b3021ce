"""A gateway that tells others which providers are down, and does not listen when they do.

Must be caught by check `circuits`, in step "the first provider fails::every process of both gateways leaves
it out".
"""

from mock_services.gateway_planting import defective_gateway
from system.gateway.sharing import SharedBreakers
from system.gateway.transitions import Circuit


def deaf(self: SharedBreakers, provider: str, circuit: Circuit) -> None:
    """What others know is not heard."""


PARTS = {(SharedBreakers, "hear"): deaf}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
