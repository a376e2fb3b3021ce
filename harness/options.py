"""What the names in a kind's options stand for: strings when a scenario runs, checked when it is loaded.

`over: ServiceName` lets the loader say `no service is called 'ruoter'. Did you mean 'router'?`, describes
itself in the JSON Schema, and is a `str` everywhere else. So does `tuple[RegisteredName, ...]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Names:
    """Marks a string option as the name of something in the topology."""

    what: str
    about: str


ServiceName = Annotated[str, Names("service", "a service of the topology")]
HostName = Annotated[str, Names("host", "a host of the topology")]
RegisteredName = Annotated[str, Names("registered name", "a name that a registry shows")]
ModelName = Annotated[str, Names("model", "a model that a service offers")]
TargetName = Annotated[str, Names("target", "a service, a service's child (`service.child`), or a host")]
