"""A registry that, once it was asked a few times, forgets a replica (`--forgets`) that is well and connected.

Must be caught by check `routing`, in step "whatever is asked, only who can do it is named": neither the
listing nor the routing knows it any more.
"""

from dataclasses import dataclass
from typing import Annotated

from mock_services.planting import Parts, defective_by
from system.registry import program
from system.registry.http import Answer, Request
from system.registry.program import RegistryConfig
from system.registry.replicas import Replicas

PATIENCE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(RegistryConfig):
    """Whom it forgets."""

    forgets: Annotated[str, "the id that is forgotten"] = "embed"


def parts_for(config: Config) -> Parts:
    """Replicas of which one is dropped after a few queries, without a word to anybody."""

    class ForgetfulReplicas(Replicas):
        asked = 0

        async def route(self, request: Request) -> Answer:
            self.asked += 1
            if self.asked == PATIENCE and config.forgets in self._table.entries:
                self._table.remove(config.forgets, "expired")
            return await super().route(request)

    return {(program, "Replicas"): ForgetfulReplicas}


PROGRAM = defective_by(program.PROGRAM, __doc__, Config, parts_for)
