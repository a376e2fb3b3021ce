"""Several answers to one: ways to combine them, one file each."""

from collections.abc import Mapping

from system.balancer.aggregation import best, concat, majority, synthesize
from system.balancer.aggregation.combining import Aggregation

AGGREGATIONS: Mapping[str, Aggregation] = {
    "synthesize": synthesize.combine,
    "majority": majority.combine,
    "concat": concat.combine,
    "best": best.combine,
}


def aggregation_of(name: str) -> Aggregation:
    """The way of a name; raises LookupError in words."""
    if name not in AGGREGATIONS:
        msg = f"there is no aggregation {name!r}: there are {', '.join(AGGREGATIONS)}"
        raise LookupError(msg)
    return AGGREGATIONS[name]
