"""The table of nodes: who is there, what it carries, and when it is gone. No I/O; clocks are arguments.

A node is in the table for as long as its lease holds. `Fleet.join` replaces a former self: the same id, the
same key (a node that restarted) or the same address. Who was replaced can no longer leave, or be seen, in
the new one's name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from system.balancer.assignment.deciding import Assigned, Candidate, Strategy
from system.balancer.models import DEFAULTS, Model, merged
from system.balancer.scoring import Specs, performance_score

Lease = Literal["stream", "probed"]
State = Literal["ready", "fetching", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a node says of itself when it registers."""

    id: str
    hostname: str
    address: str
    """HOST:PORT of its gRPC."""
    specs: Specs
    key: str = ""
    """Who it is beyond a restart; empty: it cannot say."""
    installed: tuple[Model, ...] | None = None
    """None: it does not say."""
    can_install: bool = True


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A node in the table."""

    card: Card
    score: float
    lease: Lease
    registered_at: float
    """Seconds since the epoch."""
    seen_at: float
    """Of the monotonic clock."""
    state: State = "ready"
    detail: str = ""
    in_progress: int = 0
    """Questions that the balancer has put to it and that are not answered yet."""
    assigned: Assigned = field(default_factory=lambda: Assigned(model=None))
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.card.id

    @property
    def model(self) -> str:
        """The name of its model; empty without one."""
        return "" if self.assigned.model is None else self.assigned.model.name

    @property
    def sees(self) -> bool:
        """Whether its model takes images."""
        return self.assigned.model is not None and self.assigned.model.vision

    def candidate(self, *, afresh: bool) -> Candidate:
        """As an assignment sees it; `afresh`: without what it has now."""
        card = self.card
        return Candidate(
            id=card.id,
            score=self.score,
            ram_gb=card.specs.ram_gb,
            gpu_memory_gb=card.specs.gpu_memory_gb,
            installed=None if card.installed is None else frozenset(model.name for model in card.installed),
            can_install=card.can_install,
            current=None if afresh or not self.model else self.model,
            failed=self.failed,
        )


class Fleet:
    """All nodes, in the order in which they registered."""

    def __init__(self, strategy: Strategy, catalogue: Sequence[Model] = ()) -> None:
        self._strategy = strategy
        self._catalogue = tuple(catalogue) or DEFAULTS
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model that can be assigned, the smallest first: what nodes report, and the catalogue."""
        reported = (model for node in self._nodes.values() for model in node.card.installed or ())
        return merged(reported, self._catalogue)

    @property
    def active_models(self) -> int:
        """How many different models are assigned."""
        return len({node.model for node in self._nodes.values() if node.model})

    def __contains__(self, node: Node) -> bool:
        return self._nodes.get(node.id) is node

    def join(self, card: Card, lease: Lease, *, wall: float, now: float) -> Node:
        """Put a node into the table, in the place of its former self; raises ImpossibleSpecs."""
        node = Node(
            card=card, score=performance_score(card.specs), lease=lease, registered_at=wall, seen_at=now
        )
        former = self._former(card)
        if former is not None:
            node.assigned = former.assigned
            self._nodes = {
                node.id if one is former else name: node if one is former else one
                for name, one in self._nodes.items()
            }
        self._nodes[node.id] = node
        return node

    def _former(self, card: Card) -> Node | None:
        known = self._nodes.get(card.id)
        return known or next(
            (
                node
                for node in self._nodes.values()
                if (card.key and node.card.key == card.key) or node.card.address == card.address
            ),
            None,
        )

    def leave(self, node: Node) -> bool:
        """Take a node out, unless it was replaced meanwhile; whether it was there."""
        if node not in self:
            return False
        del self._nodes[node.id]
        return True

    def silent(self, now: float, longer_than: float) -> list[Node]:
        """Nodes with a stream that have not reported for so long."""
        return [node for node in self.nodes if node.lease == "stream" and now - node.seen_at > longer_than]

    def assign(self, *, afresh: bool = False) -> list[Node]:
        """Decide about everybody; returns whose model is another now. `afresh`: as if nobody had one."""
        decided = self._strategy([node.candidate(afresh=afresh) for node in self.nodes], self.models)
        changed = [node for node in self.nodes if _name(decided[node.id].model) != node.model]
        for node in self.nodes:
            node.assigned = decided[node.id]
        return changed


def _name(model: Model | None) -> str:
    return "" if model is None else model.name


def names_of(models: Iterable[Model]) -> list[str]:
    return [model.name for model in models]
