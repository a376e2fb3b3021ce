"""A router that answers one request in twenty with 502 (`--every`), though its backends are well.

Must be caught by check `availability`, wherever there is a load, first in step "a chat with model-1 is
answered by a service that has it"; its message names the requests.
"""

from dataclasses import dataclass
from itertools import count
from typing import Annotated

from mock_services.planting import Parts, defective_by
from system.router import program
from system.router.exchange import Exchange
from system.router.front import Front
from system.router.program import RouterConfig
from system.router.proxy import Proxy
from system.router.refusals import NO_BACKEND, Refusal
from system.router.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(RouterConfig):
    """How often it refuses."""

    every: Annotated[int, "one in so many requests is refused"] = 20


def parts_for(config: Config) -> Parts:
    """A proxy that refuses."""
    numbers = count(1)

    class RefusingProxy(Proxy):
        def begin(self, front: Front, request: Request) -> Exchange | None:
            if request.method == b"POST" and next(numbers) % config.every == 0:
                front.refuse(Refusal(status=502, message="Bad Gateway", code=NO_BACKEND.code), request)
                return None
            return super().begin(front, request)

    return {(program, "Proxy"): RefusingProxy}


PROGRAM = defective_by(program.PROGRAM, __doc__, Config, parts_for)
