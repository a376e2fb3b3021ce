"""A router whose breakers never open, so that a backend that hangs gets its share of the requests for ever.

Must be caught by check `latency`, in step "C hangs, though its health is well::nobody waits for it any more".
"""

from mock_services.planting import defective
from system.breaker import Breaker, Verdict
from system.router import backends, program


class LastingBreaker(Breaker):
    """Counts nothing."""

    __slots__ = ()

    def record(self, ticket: int, verdict: Verdict, now: float) -> bool:
        return False


PROGRAM = defective(program.PROGRAM, __doc__, {(backends, "Breaker"): LastingBreaker})
