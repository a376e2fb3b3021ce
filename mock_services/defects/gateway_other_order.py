"""A gateway that asks the provider first that should come last.

Must be caught by check `served_by`, in step "the first provider answers at gateway-a".
"""

from collections.abc import Sequence

from mock_services.gateway_planting import defective_gateway
from system.gateway import engine
from system.gateway.failover import in_order
from system.gateway.providers.base import Provider
from system.gateway.values import Chat


def last_first(providers: Sequence[Provider], chat: Chat) -> Sequence[Provider]:
    """Priorities, read the wrong way round."""
    return tuple(reversed(in_order(providers, chat)))


PARTS = {(engine, "in_order"): last_first}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
