"""Least outstanding: the backend with the fewest requests on their way; ties are broken at random.

A fixed tie-break would send every request of a quiet model to the first backend.
"""

from collections.abc import Sequence

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options


class LeastOutstanding:
    """The default: a slow backend gets less, without anybody measuring how slow it is."""

    def __init__(self, options: Options) -> None:
        self._random = options.random

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        fewest = min([backend.outstanding for backend in backends])
        ties = [backend for backend in backends if backend.outstanding == fewest]
        return ties[0] if len(ties) == 1 else ties[int(self._random.random() * len(ties))]
