"""A gateway that asks a provider again at once that said when it may be asked again (Retry-After).

Must be caught by check `http`, in step "the first provider asks for patience::nobody asked the first again
before its time".
"""

from mock_services.gateway_planting import defective_gateway
from system.gateway import engine
from system.gateway.errors import ProviderError, RateLimited
from system.gateway.failover import judge
from system.gateway.permits import Permit


def judge_at_once(permit: Permit, error: ProviderError, seconds: float) -> None:
    """Leaves nobody alone."""
    if isinstance(error, RateLimited):
        permit.abandoned(rest=0.0)
    else:
        judge(permit, error, seconds)


PARTS = {(engine, "judge"): judge_at_once}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
