"""A gateway where a reset of a circuit reaches the one process that was asked for it.

Must be caught by check `circuits`, in step "it is closed everywhere".
"""

from dataclasses import replace

from mock_services.gateway_planting import defective_gateway
from system.breaker import CLOSED
from system.gateway.sharing import SharedBreakers


async def reset(self: SharedBreakers, provider: str) -> None:
    """Close it here, as the same statement about the provider that everybody has already."""
    standing = self._standings[provider]
    standing.circuit = replace(standing.circuit, state=CLOSED, failures=0)


PARTS = {(SharedBreakers, "reset"): reset}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
