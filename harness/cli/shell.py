"""`muster shell`: a shell where a service of a standing deployment runs."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EnvironmentFailure, Place, Problem, ScenarioError, did_you_mean
from harness.standing import choose
from harness.states import states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.standing import Standing
    from harness.states import ServiceState


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "shell",
        help="a shell where a service runs",
        epilog="example: muster shell router -- curl -s $URL/health",
    )
    parser.add_argument("service", metavar="SERVICE", help="whose place")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="run this instead of a shell")
    parser.add_argument("--name", default="", help="which deployment; not needed for the only one")
    parser.add_argument("--run-dir", default="artifacts", metavar="DIR", help="where runs are kept")


def run(arguments: argparse.Namespace) -> int:
    """Open it; the exit code is the command's own."""
    found = choose(Path(arguments.run_dir), arguments.name)
    services = states(found.run.records)
    if arguments.service not in services:
        message = f"no service is called '{arguments.service}'.{did_you_mean(arguments.service, services)}"
        raise ScenarioError([Problem(Place("muster shell"), message)])
    open_shell = _SHELLS.get(found.run.manifest.hosts_kind)
    if open_shell is None:
        msg = f"{found.run.manifest.hosts_kind} hosts have no place to open a shell in"
        raise EnvironmentFailure(msg)
    return open_shell(found, services[arguments.service], arguments.command)


def _process(found: Standing, service: ServiceState, command: list[str]) -> int:
    """A process host is this machine: the service's folder, its address and URL in the environment."""
    folder = found.run.directory.workdir(service.host, service.service)
    own = {
        "ADDRESS": found.run.manifest.hosts[service.host],
        "URL": service.url,
        "PS1": f"{service.host}/{service.service} $ ",
    }
    words = ["sh", "-c", " ".join(command)] if command else [os.environ.get("SHELL", "sh"), "-i"]
    return subprocess.run(
        words, cwd=folder, env={**os.environ, **own}, check=False
    ).returncode  # what the user typed


def _docker(found: Standing, service: ServiceState, command: list[str]) -> int:
    """Inside the service's container."""
    docker = shutil.which("docker")
    if docker is None:
        msg = "there is no `docker` command on this machine"
        raise EnvironmentFailure(msg)
    filters = [f"label=muster.run={found.run.manifest.run}", f"label=muster.service={service.service}"]
    listed = subprocess.run(  # fixed words and our own names
        [docker, "ps", "-q", *(word for text in filters for word in ("--filter", text))],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not listed:
        msg = f"{service.service} has no running container"
        raise EnvironmentFailure(msg)
    words = ["sh", "-c", " ".join(command)] if command else ["sh"]
    terminal = [] if command else ["-it"]
    return subprocess.run([docker, "exec", *terminal, listed[0], *words], check=False).returncode


_SHELLS: Mapping[str, Callable[[Standing, ServiceState, list[str]], int]] = {
    "process": _process,
    "docker": _docker,
}
