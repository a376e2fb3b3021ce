"""A balancer that gives every question a minute, whatever deadline it has.

Must be caught by check `latency`, in step "who misses the deadline is named, and the others answer", and
there by check `answer`.
"""

from mock_services.planting import defective
from system.balancer import balancer, program
from system.balancer.asking import Asker, Listener, NodeAnswer, Plan, Question, ask_all
from system.balancer.fleet import Node


async def patiently(
    nodes: list[Node], question: Question, plan: Plan, asker: Asker, deadline: float, listener: Listener
) -> list[NodeAnswer]:
    """They will answer in the end."""
    del deadline
    return await ask_all(nodes, question, plan, asker, 60.0, listener)


PROGRAM = defective(program.PROGRAM, __doc__, {(balancer, "ask_all"): patiently})
