"""The six services of two servers, brought up by others: testcontainers one by one, and docker-compose.

Each service is a container with a name of its own in one network; image, commands and files are those of the
shipped topology. Both say `(seconds until all are ready, seconds until all are gone)`.
"""

import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml

from harness.hosts.docker import IMAGE
from harness.model import ServiceSpec
from harness.references import resolve_service
from harness.topology import load_topology

TOPOLOGY = Path(__file__).parents[1] / "scenarios" / "topologies" / "two-servers.yaml"
_READY_WITHIN = 60.0


def services() -> Sequence[ServiceSpec]:
    """The services, each known by its own name: the ones of a host do not share an address here."""
    shipped = yaml.safe_load(TOPOLOGY.read_text("utf-8"))["hosts"]
    apart = {f"on-{name}": {name: service} for host in shipped.values() for name, service in host.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        file.write_text(yaml.safe_dump({"hosts": apart}, sort_keys=False), "utf-8")
        topology = load_topology(file, {})
    specs = (resolve_service(spec, {host: host for host in apart}) for spec in topology.services)
    return [
        replace(spec, files={f"/srv/{name}": text for name, text in spec.files.items()}) for spec in specs
    ]


def by_testcontainers(interval: float | None = None) -> tuple[float, float]:
    """`DockerContainer` after `DockerContainer`, each waited for; `interval` is how often that looks."""
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.network import Network
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    specs = services()
    began = time.perf_counter()
    running = []
    with Network() as network:
        try:
            for spec in specs:
                assert spec.ready is not None
                url = urlsplit(spec.ready.http)
                port = url.port or spec.ports[0]
                wait = HttpWaitStrategy(port, url.path).for_status_code(200)
                container = (
                    DockerContainer(IMAGE, ports=[port], working_dir="/srv")
                    .with_command(list(spec.command))
                    .with_network(network)
                    .with_network_aliases(spec.host)
                    .waiting_for(wait.with_poll_interval(interval) if interval else wait)
                )
                for name, text in spec.files.items():
                    container.with_copy_into_container(text.encode(), name)
                running.append(container)
                container.start()
            ready = time.perf_counter()
        finally:
            for container in running:
                container.stop()
    return ready - began, time.perf_counter() - ready


def by_compose() -> tuple[float, float]:
    """`docker-compose up -d`, then all of them waited for at once; `docker-compose down -t 5`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = services()
        project = f"rival{secrets.token_hex(4)}"
        (folder / "docker-compose.yml").write_text(json.dumps(_compose_file(specs, folder, project)), "utf-8")
        compose = ("docker-compose", "--project-name", project, "--file", folder / "docker-compose.yml")
        began = time.perf_counter()
        try:
            run(*compose, "up", "-d")
            for spec in specs:
                _wait(spec, _address_of(f"{project}-{spec.name}"))
            ready = time.perf_counter()
        finally:
            run(*compose, "down", "--timeout", "5", "--volumes")
        return ready - began, time.perf_counter() - ready


def _compose_file(specs: Sequence[ServiceSpec], folder: Path, project: str) -> object:
    found = {}
    for spec in specs:
        mounts = []
        for number, (path, text) in enumerate(spec.files.items()):
            file = folder / f"{spec.name}-{number}"
            file.write_text(text, "utf-8")
            mounts.append(f"{file}:{path}:ro")
        found[spec.name] = {
            "image": IMAGE,
            "command": [word.replace("$", "$$") for word in spec.command],
            "container_name": f"{project}-{spec.name}",
            "networks": {"default": {"aliases": [spec.host]}},
            "working_dir": "/srv",
            "volumes": mounts,
        }
    return {"version": "3.7", "services": found}


def _address_of(container: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return run("docker", "inspect", "--format", form, container).strip()


def _wait(spec: ServiceSpec, address: str) -> None:
    assert spec.ready is not None
    url = urlsplit(spec.ready.http)
    until = time.perf_counter() + _READY_WITHIN
    while time.perf_counter() < until:
        try:
            if httpx.get(
                f"http://{address}:{url.port or spec.ports[0]}{url.path}", trust_env=False
            ).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.02)
    msg = f"{spec.name} was not ready after {_READY_WITHIN:g} s"
    raise SystemExit(msg)


def run(*argv: str | Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{argv} ended with {done.returncode}: {done.stderr[-1000:]}"
        raise SystemExit(msg)
    return done.stdout
