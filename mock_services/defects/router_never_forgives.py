"""A router whose breakers stay open once they are, so that a backend that is well again gets nothing.

Must be caught by check `served_by`, in step "C is used again once it answers".
"""

from mock_services.planting import defective
from system.breaker import OPEN, Breaker
from system.router import backends, program


class UnforgivingBreaker(Breaker):
    """Is never half-open."""

    __slots__ = ()

    def permits(self, now: float) -> bool:
        return self.state is not OPEN and super().permits(now)


PROGRAM = defective(program.PROGRAM, __doc__, {(backends, "Breaker"): UnforgivingBreaker})
