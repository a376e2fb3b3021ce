"""From what a topology's services say of themselves to the facts that checks judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.evidence import Facts, ServiceFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model import ServiceSpec, Topology


def facts_of(topology: Topology, specs: Sequence[ServiceSpec] = ()) -> Facts:
    """What a topology states; `specs` are its services once their addresses are known."""
    services = tuple(
        ServiceFacts(
            name=spec.name,
            host=spec.host,
            url=spec.url,
            speaks=spec.speaks,
            registers=spec.registers,
            capabilities=spec.capabilities,
            answers_as=spec.answers_as,
        )
        for spec in specs or topology.services
    )
    return Facts(services=services, stated_by=topology.stated_by, serving_at_least=topology.serving_at_least)
