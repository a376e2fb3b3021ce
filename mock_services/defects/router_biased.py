"""A router that prefers the backend that comes first by name: always, or in a share of cases (`--bias 0.6`).

Must be caught by check `distribution`, in step "model-1 is shared evenly by the services that have it"; how
small a bias is seen depends on `detect`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated

from mock_services.planting import Parts, defective_by
from system.router import program
from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies import POLICIES
from system.router.program import RouterConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(RouterConfig):
    """How strong the preference is."""

    bias: Annotated[float, "the share of requests that go to the preferred backend"] = 1.0


class Biased:
    """One backend's share is fixed; the others take the rest in equal parts."""

    def __init__(self, share: float, random: Random) -> None:
        self._share = share
        self._random = random

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        first, *rest = sorted(backends, key=lambda backend: backend.name)
        return first if not rest or self._random.random() < self._share else self._random.choice(rest)


def parts_for(config: Config) -> Parts:
    """The biased policy under every policy's name."""
    biased = dict.fromkeys(POLICIES, lambda options: Biased(config.bias, options.random))
    return {(program, "POLICIES"): biased}


PROGRAM = defective_by(program.PROGRAM, __doc__, Config, parts_for)
