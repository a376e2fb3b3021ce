"""Nodes that exist in tests only."""

from typing import Any

from system.balancer.assignment import strategy_of
from system.balancer.fleet import Card, Fleet, Lease, Node
from system.balancer.models import Model
from system.balancer.scoring import Specs

STRONG = Specs(cpu_cores=16, cpu_frequency_ghz=4, ram_gb=64, gpu_info="NVIDIA RTX 4090")
WEAK = Specs(cpu_cores=4, cpu_frequency_ghz=2.5, ram_gb=8, gpu_info="Intel UHD")


def fleet_of(*cards: Card, models: tuple[Model, ...] = (), strategy: str = "tiers") -> Fleet:
    """A fleet with these nodes, each with its model."""
    fleet = Fleet(strategy_of(strategy), models)
    for one in cards:
        joined(fleet, one)
    return fleet


def joined(fleet: Fleet, one: Card, lease: Lease = "stream", now: float = 0.0) -> Node:
    node = fleet.join(one, lease, wall=1_000.0 + now, now=now)
    fleet.assign()
    return node


def card(name: str, specs: Specs = WEAK, **fields: Any) -> Card:
    given: dict[str, Any] = {"hostname": name, "address": f"{name}:50052", "specs": specs}
    return Card(id=name, **(given | fields))
