"""How muster was called: the options that pytest and `muster run` share, and what follows from them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Place, Problem, ScenarioError, did_you_mean
from harness.hosts import HOSTS
from harness.hosts.engine import usable
from harness.secrets import SHORTEST, Recording
from harness.settings import OBSERVE_EVERY, RunSettings

if TYPE_CHECKING:
    from harness.model import Scenario

AUTO = "auto"
HOSTS_VARIABLE = "MUSTER_HOSTS"
"""Environment variable that says which hosts `auto` means."""
ATTACHED_CAP = 200
"""Requests a load may send to servers that others use, unless --max-requests says otherwise."""
ATTACHED_EVERY = 0.5
"""Seconds between two polls of servers that others use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The options of a call; see `pytest --help` or `muster run --help`."""

    hosts: str = AUTO
    attach: tuple[str, ...] = ()
    inventory: str = ""
    registry_port: int = 18000
    router_port: int = 8000
    scheme: str = "http"
    token_file: str = ""
    expect_services: int | None = None
    max_requests: int | None = None
    keep: bool = False
    run_dir: str = ""
    reports: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def attached(self) -> bool:
        """Whether servers that already run are to be judged."""
        return bool(self.attach or self.inventory) or self.hosts == "attached"

    def load(self, path: Path) -> list[Scenario]:
        """Load a scenario file; with `--attach` or `--inventory` its topology is what really runs there."""
        from harness.attach import attached_topology
        from harness.scenario import load_scenario

        environ = Recording(os.environ)
        attach = (lambda stated: attached_topology(self, stated)) if self.attached else None
        loaded = load_scenario(path, attach=attach, environ=environ, params_override=self.params)
        secrets = environ.secrets() | self._token()
        return [replace(scenario, secrets=secrets) for scenario in loaded]

    def _token(self) -> dict[str, str]:
        shown = self.headers().get("authorization", "").removeprefix("Bearer ")
        return {"token": shown} if len(shown) >= SHORTEST else {}

    def hosts_kind(self) -> tuple[str, str]:
        """Which kind of hosts to use, and why that one."""
        if self.attached:
            return "attached", "servers that already run are judged"
        asked = self.hosts if self.hosts != AUTO else os.environ.get(HOSTS_VARIABLE, AUTO)
        if asked == AUTO:
            return embedded_hosts()
        where = "--hosts" if asked == self.hosts else HOSTS_VARIABLE
        if asked not in HOSTS:
            known = did_you_mean(asked, [*HOSTS, AUTO])
            raise ScenarioError([Problem(Place(where), f"no hosts kind is called '{asked}'.{known}")])
        return asked, f"asked for with {where}"

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
            keep=self.keep and not self.attached,
            max_requests=self.max_requests or (ATTACHED_CAP if self.attached else None),
            headers=self.headers(),
            observe_every=ATTACHED_EVERY if self.attached else OBSERVE_EVERY,
            environment=environment(),
        )


def params_of(written: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` words as a mapping; ScenarioError for a word of another form."""
    pairs = [word.partition("=") for word in written]
    wrong = [name for name, separator, _ in pairs if not separator or not name]
    if wrong:
        raise ScenarioError([Problem(Place("--param"), f"'{wrong[0]}': write it like size=3")])
    return {name: value for name, _, value in pairs}


def embedded_hosts() -> tuple[str, str]:
    """Containers where an engine can be used, else processes; and why."""
    if find_spec("docker") is None:
        return "process", "containers need the Docker SDK: pip install 'muster[docker]'"
    place, why = usable()
    if why:
        return "process", why.partition(":")[0] if "answers" in why else why
    return "docker", f"a Docker Engine answers at {place.url}"


def environment() -> dict[str, str]:
    """What a reader of the report wants to know of the machine."""
    uname = platform.uname()
    return {
        "muster": version("muster"),
        "python": sys.version.split()[0],
        "system": f"{uname.system} {uname.release} {uname.machine}",
    }
