"""Where hosts come from."""

from __future__ import annotations

from harness.hosts.base import Hosts
from harness.kinds import Kinds

HOSTS: Kinds[Hosts] = Kinds(
    "hosts kind",
    {
        "attached": "harness.hosts.attached:AttachedHosts",
        "docker": "harness.hosts.docker:DockerHosts",
        "process": "harness.hosts.process:ProcessHosts",
    },
)
