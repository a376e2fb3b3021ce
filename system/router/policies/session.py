"""Session affinity: requests of one session go to one backend, by rendezvous hashing with bounded load.

Every router ranks the backends of a session alike, without talking to any other. When a backend leaves,
only its sessions move, each to the next of its own ranking; when it comes back, they return. A backend that
already has more than its share passes a session on, so one busy session cannot sink it.
"""

from collections.abc import Sequence
from hashlib import blake2b

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options, has_room
from system.router.policies.least_outstanding import LeastOutstanding

_MASK = (1 << 64) - 1


def hashed(text: str) -> int:
    """64 bits of a text, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _mixed(value: int) -> int:
    """Spreads every bit over all of them (the finaliser of splitmix64)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Session:
    """Affinity where a request names a session; fewest outstanding where it does not."""

    def __init__(self, options: Options) -> None:
        self._overload = options.overload
        self._others = LeastOutstanding(options)
        self._seeds: dict[str, int] = {}

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        session = asked.session
        if not session:
            return self._others.pick(backends, asked)
        ranking = self.ranking(backends, session)
        roomy = (backend for backend in ranking if has_room(backend, backends, self._overload))
        return next(roomy, ranking[0])

    def ranking(self, backends: Sequence[Backend], session: str) -> list[Backend]:
        """The backends in the order in which they are preferred for a session."""
        key = hashed(session)
        if len(self._seeds) > 2 * len(backends) + 16:
            self._seeds = {}
        seeds = self._seeds
        for backend in backends:
            if backend.name not in seeds:
                seeds[backend.name] = hashed(backend.name)
        return sorted(backends, key=lambda backend: _mixed(key ^ seeds[backend.name]), reverse=True)
