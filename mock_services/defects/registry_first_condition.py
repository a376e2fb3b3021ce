"""A registry that heeds only the first condition of a query, and so names replicas that cannot do the rest.

Must be caught by check `routing`, in step "whatever is asked, only who can do it is named".
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.http import Answer, Request
from system.registry.replicas import Replicas


class HastyReplicas(Replicas):
    """Does not read on."""

    async def route(self, request: Request) -> Answer:
        first = request.scope["query_string"].partition(b"&")[0]
        return await super().route(request._replace(scope={**request.scope, "query_string": first}))


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Replicas"): HastyReplicas})
