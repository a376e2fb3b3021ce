"""What every strategy shares: who takes part, which models a node cannot have and why. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from system.balancer.models import Model

HEADROOM = 1.2  # a model in use takes more than its file: context and buffers


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node, as far as an assignment looks at it; in the order in which they registered."""

    id: str
    score: float
    ram_gb: float
    gpu_memory_gb: float = 0.0
    installed: frozenset[str] | None = None
    """Names of models that are there; None: it does not say."""
    can_install: bool = True
    current: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    """Models that this node could not get ready, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A model that a node does not get."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What a node got, and why not something else."""

    model: Model | None
    rejected: tuple[Rejected, ...] = ()

    @property
    def reason(self) -> str:
        """In words, for a node that got nothing."""
        if self.model is not None:
            return ""
        if not self.rejected:
            return "there is no model to assign: nodes report none and no --model names one"
        return "; ".join(f"{one.model}: {one.reason}" for one in self.rejected)


Strategy = Callable[[Sequence[Candidate], Sequence[Model]], Mapping[str, Assigned]]
"""Nodes and models, the smallest first, to what each node gets."""

Filter = Callable[[Candidate, Model], str | None]


def too_large(node: Candidate, model: Model) -> str | None:
    """It fits neither in the memory of the graphics card nor in the machine's."""
    needed, there = model.size_gb * HEADROOM, max(node.ram_gb, node.gpu_memory_gb)
    if needed <= there:
        return None
    return f"takes about {needed:.1f} GB of memory, and {there:g} GB are there"


def not_installed(node: Candidate, model: Model) -> str | None:
    """The node's engine lacks it and cannot fetch it."""
    if node.installed is None or node.can_install or model.name in node.installed:
        return None
    return "is not installed there, and the node's engine cannot fetch it"


def failed_before(node: Candidate, model: Model) -> str | None:
    """The node tried and could not."""
    return node.failed.get(model.name)


FILTERS: Sequence[Filter] = (too_large, not_installed, failed_before)


def sift(node: Candidate, models: Sequence[Model]) -> tuple[list[Model], list[Rejected]]:
    """The models that a node can have, and those that it cannot, with the first reason."""
    fit: list[Model] = []
    rejected: list[Rejected] = []
    for model in models:
        reason = next((why for one in FILTERS if (why := one(node, model)) is not None), None)
        if reason is None:
            fit.append(model)
        else:
            rejected.append(Rejected(model=model.name, reason=reason))
    return fit, rejected
