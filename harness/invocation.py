"""How muster was called: the options that pytest and `muster run` share, and what follows from them."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Place, Problem, ScenarioError, did_you_mean
from harness.hosts import HOSTS
from harness.settings import OBSERVE_EVERY, RunSettings

if TYPE_CHECKING:
    from harness.model import Scenario

ATTACHED_CAP = 200
"""Requests a load may send to servers that others use, unless --max-requests says otherwise."""
ATTACHED_EVERY = 0.5
"""Seconds between two polls of servers that others use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The options of a call; see `pytest --help` or `muster run --help`."""

    hosts: str = "auto"
    attach: tuple[str, ...] = ()
    inventory: str = ""
    registry_port: int = 18000
    router_port: int = 8000
    scheme: str = "http"
    token_file: str = ""
    expect_services: int | None = None
    max_requests: int | None = None
    run_dir: str = ""
    reports: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def attached(self) -> bool:
        """Whether servers that already run are to be judged."""
        return bool(self.attach or self.inventory) or self.hosts == "attached"

    def load(self, path: Path) -> list[Scenario]:
        """Load a scenario file; with `--attach` or `--inventory` its topology is what really runs there."""
        from harness.scenario import load_scenario

        if not self.attached:
            return load_scenario(path)
        from harness.attach import attached_topology

        return load_scenario(path, attach=lambda stated: attached_topology(self, stated))

    def hosts_kind(self) -> tuple[str, str]:
        """Which kind of hosts to use, and why that one."""
        if self.attached:
            return "attached", "servers that already run are judged"
        if self.hosts != "auto":
            if self.hosts not in HOSTS:
                known = did_you_mean(self.hosts, [*HOSTS, "auto"])
                raise ScenarioError(
                    [Problem(Place("--hosts"), f"no hosts kind is called '{self.hosts}'.{known}")]
                )
            return self.hosts, "asked for with --hosts"
        return "process", "the default: hosts are loopback addresses, services are processes"

    def headers(self) -> dict[str, str]:
        """What goes with every request of the harness."""
        if not self.token_file:
            return {}
        try:
            token = Path(self.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = Problem(Place("--token-file"), f"{self.token_file} cannot be read: {error}")
            raise ScenarioError([problem]) from error
        return {"authorization": f"Bearer {token}"}

    def settings(
        self,
        *,
        base: Path,
        again: str,
        selected: frozenset[str] | None = None,
        nodeids: Mapping[str, str] | None = None,
    ) -> RunSettings:
        """How to run one scenario."""
        kind, why = self.hosts_kind()
        return RunSettings(
            hosts_kind=kind,
            why_hosts=why,
            base=base,
            selected=selected,
            nodeids=nodeids or {},
            again=again,
            max_requests=self.max_requests or (ATTACHED_CAP if self.attached else None),
            headers=self.headers(),
            observe_every=ATTACHED_EVERY if self.attached else OBSERVE_EVERY,
            environment=environment(),
        )


def environment() -> dict[str, str]:
    """What a reader of the report wants to know of the machine."""
    uname = platform.uname()
    return {
        "muster": version("muster"),
        "python": sys.version.split()[0],
        "system": f"{uname.system} {uname.release} {uname.machine}",
    }
