"""Power of two choices: of two backends drawn at random the one with fewer requests on their way.

Nearly as even as asking all of them, at a cost that does not grow with their number; and routers that do not
know of each other do not all run to the same one.
"""

from collections.abc import Sequence

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options


class TwoChoices:
    """For many backends, or many routers."""

    def __init__(self, options: Options) -> None:
        self._random = options.random

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        if len(backends) == 1:
            return backends[0]
        first = int(self._random.random() * len(backends))
        second = int(self._random.random() * (len(backends) - 1))
        one, other = backends[first], backends[second if second < first else second + 1]
        return one if one.outstanding <= other.outstanding else other
