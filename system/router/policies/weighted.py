"""Weighted round robin, smooth: weights 3 and 1 give A A B A, never a burst; weight 0 gets nothing."""

from collections.abc import Sequence

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options


class Weighted:
    """While membership and weights are stable, every backend gets exactly its share of each cycle.

    Each pick adds every backend's weight to its credit; who has most of it is picked and pays the total.
    """

    def __init__(self, options: Options) -> None:
        self._credit: dict[str, float] = {}

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        weights = [backend.entry.weight for backend in backends]
        total = sum(weights)
        if total <= 0:
            weights, total = [1.0] * len(backends), float(len(backends))
        before = self._credit
        credit = {
            backend.name: before.get(backend.name, 0.0) + weight
            for backend, weight in zip(backends, weights, strict=True)
        }
        chosen = max(backends, key=lambda backend: credit[backend.name])
        credit[chosen.name] -= total
        self._credit = credit
        return chosen
