"""A registry that shows one healthy service as unhealthy (`--doubts`), whatever that service says.

Must be caught by check `healthy`, in step "every service is registered, healthy, and has the models it
should have".
"""

from dataclasses import dataclass
from typing import Annotated, Any

from mock_services.planting import Parts, defective_by
from system.registry import program
from system.registry.entries import Entry
from system.registry.program import RegistryConfig
from system.registry.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(RegistryConfig):
    """Whom it doubts."""

    doubts: Annotated[str, "the name that is shown as unhealthy"] = "babysitter-d-server"


def parts_for(config: Config) -> Parts:
    """Services of which one is never shown as healthy."""

    class DoubtingServices(Services):
        def _view(self, entry: Entry, now: float, wall: float) -> dict[str, Any]:
            view = super()._view(entry, now, wall)
            return view | {"is_healthy": False} if entry.id == config.doubts else view

    return {(program, "Services"): DoubtingServices}


PROGRAM = defective_by(program.PROGRAM, __doc__, Config, parts_for)
