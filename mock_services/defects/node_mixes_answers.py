"""A node with one place for the answers of all questions: those asked at the same time get each other's.

Must be caught by check `answer`, in step "each answers with its model, and its own question".
"""

import asyncio

from mock_services.planting import defective
from system.node import program
from system.node.service import NodeService, Working
from system.proto import load_balancer_pb2 as pb

own = NodeService._asked  # noqa: SLF001 - what is planted replaces a part of the inside
latest: dict[NodeService, str] = {}


async def shared(self: NodeService, request: pb.AIRequest, working: Working) -> str:
    """Put there when it is known, taken from there a moment later."""
    latest[self] = await own(self, request, working)
    await asyncio.sleep(0.02)
    return latest[self]


PROGRAM = defective(program.PROGRAM, __doc__, {(NodeService, "_asked"): shared})
