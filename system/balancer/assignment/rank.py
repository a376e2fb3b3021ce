"""By rank, as the original system did it: the best node gets the most able model, whatever its points are.

With no more nodes than models, the i-th best node gets the i-th most able model. With more, nodes are split
into as many groups as there are models, the best first; the first of each group gets its model, and the
others, best first, get models in turns from the smallest up. (The original chose one of each group at
random at every registration; the first is taken here, so that nobody is moved without need.) A model that a
node cannot have is left out for it.
"""

from collections.abc import Mapping, Sequence

from system.balancer.assignment.deciding import Assigned, Candidate, sift
from system.balancer.models import Model


def assign(nodes: Sequence[Candidate], models: Sequence[Model]) -> Mapping[str, Assigned]:
    """What each node gets."""
    if not models:
        return {node.id: Assigned(model=None) for node in nodes}
    ranked = sorted(nodes, key=lambda node: -node.score)
    able = sorted(models, key=lambda model: (-model.complexity, -model.parameters, model.name))
    wanted = dict(zip((node.id for node in ranked), able, strict=False))
    if len(ranked) > len(able):
        wanted = _by_groups(ranked, able)
    return {node.id: _nearest(node, wanted[node.id], able) for node in nodes}


def _by_groups(ranked: Sequence[Candidate], able: Sequence[Model]) -> dict[str, Model]:
    size, longer = divmod(len(ranked), len(able))
    wanted: dict[str, Model] = {}
    place = 0
    for number, model in enumerate(able):
        wanted[ranked[place].id] = model
        place += size + (number < longer)
    ascending = list(reversed(able))
    others = [node for node in ranked if node.id not in wanted]
    for number, node in enumerate(others):
        wanted[node.id] = ascending[number % len(ascending)]
    return wanted


def _nearest(node: Candidate, wanted: Model, able: Sequence[Model]) -> Assigned:
    """The wanted model, else the next smaller one that the node can have, else the next larger."""
    fit, rejected = sift(node, able)
    place = able.index(wanted)
    smaller = [model for model in able[place:] if model in fit]
    larger = [model for model in reversed(able[:place]) if model in fit]
    chosen = next(iter([*smaller, *larger]), None)
    return Assigned(model=chosen, rejected=tuple(rejected))
