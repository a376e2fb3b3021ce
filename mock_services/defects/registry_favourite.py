"""A registry that names the same replica half of the time, however many there are.

Must be caught by check `distribution`, in step "those who can do the same are chosen evenly".
"""

from collections.abc import Callable

from mock_services.planting import defective
from system.registry import program
from system.registry.choices.random import Random
from system.registry.member import Member

fair = Random.pick


def biased(self: Random, random: Callable[[], float]) -> Member:
    """The first one, or any."""
    return fair(self, (lambda: 0.0) if random() < 0.5 else random)


PROGRAM = defective(program.PROGRAM, __doc__, {(Random, "pick"): biased})
