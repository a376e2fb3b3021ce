"""A registry that confirms every registration and forgets that of one name (`--loses`).

Must be caught by check `registered`, in step "every service is registered, healthy, and has the models it
should have".
"""

from dataclasses import dataclass
from typing import Annotated

from mock_services.planting import Parts, defective_by
from system.registry import program
from system.registry.http import Answer, Request
from system.registry.program import RegistryConfig
from system.registry.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(RegistryConfig):
    """Whom it loses."""

    loses: Annotated[str, "the name whose registration is lost"] = "babysitter-c-server"


def parts_for(config: Config) -> Parts:
    """Services that leave one entry out."""

    class LosingServices(Services):
        async def register(self, request: Request) -> Answer:
            confirmed = await super().register(request)
            if config.loses in self._table.entries:
                self._table.remove(config.loses, "unregistered")
            return confirmed

    return {(program, "Services"): LosingServices}


PROGRAM = defective_by(program.PROGRAM, __doc__, Config, parts_for)
