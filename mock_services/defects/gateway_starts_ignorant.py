"""A gateway that hears what changes, and never asks what was before it started.

Must be caught by check `http`, in step "the first provider fails::nobody but the first gateway has asked
the provider".
"""

from mock_services.gateway_planting import defective_gateway
from system.gateway.sync.redis import RedisLink
from system.gateway.transitions import Circuit


async def put(self: RedisLink, provider: str, circuit: Circuit, *, claim: bool, within: float) -> Circuit:
    """Tell Redis of changes, and heed its answer only where a probe is at stake."""
    if not claim and circuit.version == 0:
        return circuit
    return await putting(self, provider, circuit, claim=claim, within=within)


putting = RedisLink._put  # noqa: SLF001
PARTS = {(RedisLink, "_put"): put}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
