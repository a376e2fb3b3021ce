"""A balancer that throws all answers away when one node has failed.

Must be caught by check `availability`, in step "questions go on".
"""

from collections.abc import Sequence

from mock_services.planting import defective
from system.balancer import balancer, program
from system.balancer.asking import Asker, Listener, NodeAnswer, Plan, Question, ask_all
from system.balancer.fleet import Node


async def strictly(
    nodes: Sequence[Node], question: Question, plan: Plan, asker: Asker, deadline: float, listener: Listener
) -> list[NodeAnswer]:
    """All, or none."""
    ended = await ask_all(nodes, question, plan, asker, deadline, listener)
    failed = [one for one in ended if one.outcome == "failed"]
    return failed or ended


PROGRAM = defective(program.PROGRAM, __doc__, {(balancer, "ask_all"): strictly})
