"""Thin clients of wire protocols: what `speaks:` in a service kind may name."""

from __future__ import annotations

from harness.kinds import Kinds
from harness.protocols.base import WireProtocol

PROTOCOLS: Kinds[WireProtocol] = Kinds(
    "protocol",
    {
        "balancer": "harness.protocols.balancer:Balancer",
        "capability_registry": "harness.protocols.capability_registry:CapabilityRegistry",
        "kserve": "harness.protocols.kserve:KServe",
        "failover_gateway": "harness.protocols.failover_gateway:FailoverGateway",
        "openai": "harness.protocols.openai:OpenAI",
        "service_registry": "harness.protocols.service_registry:ServiceRegistry",
        "http": "harness.protocols.http:Http",
    },
)
