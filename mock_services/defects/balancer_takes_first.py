"""A balancer whose majority is whoever answered first.

Must be caught by check `answer`, in step "three of four are enough, and right".
"""

from types import MappingProxyType

from mock_services.planting import defective
from system.balancer import aggregation, program
from system.balancer.aggregation.combining import Answered, Combined


async def combine(answered: Answered) -> Combined:
    """The others will have said the same."""
    first = answered.answers[0]
    return Combined(text=first.text, method=f"Majority ({len(answered.answers)} of {len(answered.answers)})")


PARTS = {(aggregation, "AGGREGATIONS"): MappingProxyType({**aggregation.AGGREGATIONS, "majority": combine})}
PROGRAM = defective(program.PROGRAM, __doc__, PARTS)
