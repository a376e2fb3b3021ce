"""Thresholds, the default: from 80 points large models (8B and up), from 60 medium ones (3B), else small.

Each node is looked at by itself, so that a newcomer moves nobody. A tier without a model that fits takes
the next smaller one; where there is none either, the smallest that fits at all, which is better than an
idle machine.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from system.balancer.assignment.deciding import Assigned, Candidate, Rejected, sift
from system.balancer.models import Model


class Tier(NamedTuple):
    """Nodes of `least` points and more carry models of `parameters` and more."""

    least: float
    name: str
    parameters: float


TIERS = (Tier(80, "large", 7e9), Tier(60, "medium", 2.5e9), Tier(0, "small", 0))


def tier_of_score(score: float) -> int:
    """The place of a node's tier in TIERS."""
    return next(place for place, tier in enumerate(TIERS) if score >= tier.least or tier is TIERS[-1])


def tier_of_model(model: Model) -> int:
    """The place of a model's tier in TIERS."""
    return next(place for place, tier in enumerate(TIERS) if model.parameters >= tier.parameters)


def assign(nodes: Sequence[Candidate], models: Sequence[Model]) -> Mapping[str, Assigned]:
    """What each node gets."""
    return {node.id: _for_one(node, models) for node in nodes}


def _for_one(node: Candidate, models: Sequence[Model]) -> Assigned:
    fit, rejected = sift(node, models)
    own = tier_of_score(node.score)
    carried = [model for model in fit if tier_of_model(model) >= own]
    if not carried:
        chosen = min(fit, key=_smallest, default=None)
        return Assigned(model=chosen, rejected=tuple(rejected))
    best = min(tier_of_model(model) for model in carried)
    chosen = max((model for model in carried if tier_of_model(model) == best), key=_scorer(node))
    heavier = [
        Rejected(model=model.name, reason=_too_heavy(node, model))
        for model in fit
        if tier_of_model(model) < own
    ]
    return Assigned(model=chosen, rejected=(*rejected, *heavier))


def _smallest(model: Model) -> tuple[int, str]:
    return model.parameters, model.name


def _scorer(node: Candidate) -> Callable[[Model], tuple[bool, bool, int, str]]:
    """Of models of one tier: the one it has, then one that is there already, then the most able."""

    def points(model: Model) -> tuple[bool, bool, int, str]:
        installed = node.installed is not None and model.name in node.installed
        return model.name == node.current, installed, model.parameters, model.name

    return points


def _too_heavy(node: Candidate, model: Model) -> str:
    tier = TIERS[tier_of_model(model)]
    return f"is for nodes of {tier.least:g} points and more; this one has {node.score:g}"
