"""A balancer that answers 200 when no node is there to answer.

Must be caught by check `http`, in step "server 1 dies::so does the last node::a question is asked".
"""

from typing import Any

from mock_services.planting import defective
from system.balancer import program
from system.balancer.http import asking
from system.balancer.storage.base import Storage
from system.proto import load_balancer_pb2 as pb

own = asking._answered  # noqa: SLF001 - what is planted replaces a part of the inside


async def answered(
    storage: Storage, prepared: asking.Prepared, result: pb.AskResult
) -> tuple[dict[str, Any], int]:
    """All is well."""
    answer, _ = await own(storage, prepared, result)
    return answer, 200


PROGRAM = defective(program.PROGRAM, __doc__, {(asking, "_answered"): answered})
