"""Random: each backend as likely as any other, whatever happened before."""

from collections.abc import Sequence

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options


class RandomChoice:
    """Keeps no state, so any number of routers together do the same as one."""

    def __init__(self, options: Options) -> None:
        self._random = options.random

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        return backends[int(self._random.random() * len(backends))]
