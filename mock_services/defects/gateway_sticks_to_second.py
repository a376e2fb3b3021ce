"""A gateway that stays with the provider that stood in for another, also when that one is back.

Must be caught by check `served_by`, in step "the first provider answers again at gateway-a".
"""

from collections.abc import Sequence

from mock_services.gateway_planting import defective_gateway
from system.gateway import engine
from system.gateway.engine import Turns
from system.gateway.failover import in_order
from system.gateway.permits import Permit
from system.gateway.providers.base import Provider
from system.gateway.values import Chat, Usage

stuck_to: list[str] = []


def succeeded(self: Turns, provider: Provider, permit: Permit, began: float, usage: Usage | None) -> None:
    """Remember who stood in."""
    if any(attempt.error == "circuit_open" for attempt in self.tried):
        stuck_to[:] = [provider.name]
    went_well(self, provider, permit, began, usage)


def stand_in_first(providers: Sequence[Provider], chat: Chat) -> Sequence[Provider]:
    """Never change what works."""
    return sorted(in_order(providers, chat), key=lambda one: one.name not in stuck_to)


went_well = Turns.succeeded
PARTS = {(engine, "in_order"): stand_in_first, (Turns, "succeeded"): succeeded}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
