"""Round robin: while membership is stable, every cycle hits every backend exactly once."""

from collections.abc import Sequence

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options


class RoundRobin:
    """Each in turn. Starts anywhere, so that many routers do not all begin with the same backend."""

    def __init__(self, options: Options) -> None:
        self._next = options.random.randrange(1 << 16)

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        self._next += 1
        return backends[self._next % len(backends)]
