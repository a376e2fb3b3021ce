"""Which node gets which model: strategies, one file each, pure; `--assignment NAME` chooses."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from system.balancer.assignment.deciding import Strategy

STRATEGIES: Mapping[str, str] = {
    "tiers": "system.balancer.assignment.tiers:assign",
    "rank": "system.balancer.assignment.rank:assign",
}


def strategy_of(name: str) -> Strategy:
    """The strategy of a name, or of `module:function`; raises LookupError in words."""
    target = STRATEGIES.get(name, name)
    module, _, attribute = target.partition(":")
    if not attribute:
        msg = (
            f"there is no assignment {name!r}: there are {', '.join(STRATEGIES)}, or your own MODULE:FUNCTION"
        )
        raise LookupError(msg)
    try:
        return cast("Strategy", getattr(import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        msg = f"assignment {name!r} cannot be imported: {error}"
        raise LookupError(msg) from None
