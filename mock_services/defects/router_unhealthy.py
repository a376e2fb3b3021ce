"""A router whose /health answers 503, though it routes.

Must be caught by check `http`, in step "the router is healthy".
"""

from mock_services.planting import defective
from system.router import program
from system.router.front import Front
from system.router.pages import JSON, Pages
from system.router.request import Page, Request


class UnhealthyPages(Pages):
    """Says that it is broken."""

    def table(self) -> dict[bytes, Page]:
        def unhealthy(front: Front, request: Request) -> None:
            front.respond(503, JSON, b'{"status":"unhealthy"}', request)

        return {**super().table(), b"/health": unhealthy}


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Pages"): UnhealthyPages})
