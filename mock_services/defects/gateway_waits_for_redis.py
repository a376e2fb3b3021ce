"""A gateway whose requests wait for Redis, also when it has gone.

Must be caught by check `availability`, in step "Redis is killed::callers of gateway-a do not notice".
"""

import asyncio

from mock_services.gateway_planting import defective_gateway
from system.gateway.permits import Permit, Refused
from system.gateway.sharing import SharedBreakers

PATIENCE = 1.0


async def admit(self: SharedBreakers, provider: str) -> Permit | Refused:
    """Look into Redis first."""
    if not self.link.redis_connected:
        await asyncio.sleep(PATIENCE)
    return await admitting(self, provider)


admitting = SharedBreakers.admit
PARTS = {(SharedBreakers, "admit"): admit}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
