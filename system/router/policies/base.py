"""What a policy is, and what all of them are made with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from system.router.asked import Asked
from system.router.backends import Backend


class Policy(Protocol):
    """Chooses a backend for a request."""

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What policies can be told; each takes what it needs."""

    random: Random = field(default_factory=Random)
    overload: float = 1.25
    """How far above the average a backend's load may be before affinity gives way."""
    cache_type_threshold: int = 51_200
    """Bytes of text above which a request goes to backends whose cache_type is `static`."""
    prefix_block: int = 256
    """Characters of a prompt that are remembered together."""
    prefix_blocks: int = 100_000
    """How many such blocks are remembered, per model."""


def has_room(backend: Backend, backends: Sequence[Backend], overload: float) -> bool:
    """Whether one more request leaves a backend's load within the bound: some multiple of the average."""
    total = sum(one.outstanding for one in backends) + 1
    return backend.outstanding + 1 <= max(1.0, overload * total / len(backends))
