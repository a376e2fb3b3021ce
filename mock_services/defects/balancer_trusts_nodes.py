"""A balancer that takes the points that a node gives itself, instead of computing them from its hardware.

Must be caught by check `scores`, in step "each has the points that its hardware is worth".
"""

from mock_services.planting import defective
from system.balancer import fleet, program, service
from system.balancer.fleet import Card
from system.balancer.scoring import Specs, performance_score
from system.balancer.wire import card_of
from system.proto import load_balancer_pb2 as pb

told: dict[Specs, float] = {}


def listening(info: pb.ClientInfo, peer: str) -> Card:
    """What a node says of itself, and what it thinks that this is worth."""
    card = card_of(info, peer)
    told[card.specs] = info.specs.performance_score
    return card


def believed(specs: Specs) -> float:
    """The node will know."""
    return round(told.get(specs, performance_score(specs)), 1)


PARTS = {(service, "card_of"): listening, (fleet, "performance_score"): believed}
PROGRAM = defective(program.PROGRAM, __doc__, PARTS)
