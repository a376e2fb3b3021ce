"""How long docker hosts take, beside others who bring containers up: `python -m benchmarks.bring_up_docker`.

two-servers  six services on two docker hosts, from nothing until all are ready, and down again; beside it, in
             turns, the same six by testcontainers (one by one, each waited for) and by docker-compose
cut          a host cut off from the other, and plugged in again, both with their proof
scale        2, 4, 6, 8 and 10 hosts with three services each
images       docker/build.sh when nothing has changed

Every figure is the median of repeated runs; the range stands beside it. Exit code 1 when a target is missed.
`docker-compose` is Debian's package; testcontainers comes with the extra `docker`.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.bring_up import Measured, machine
from benchmarks.docker_rivals import by_compose, by_testcontainers, run
from harness.deployment import Deployment, deployed
from harness.faults.partition import Partition
from harness.hosts.docker import DockerHosts
from harness.model import ServiceSpec, Topology
from harness.references import resolve_service
from harness.testing import workspace_in
from harness.topology import load_topology

TWO_SERVERS = Path(__file__).parents[1] / "scenarios" / "topologies" / "two-servers.yaml"
BUILD = Path(__file__).parents[1] / "docker" / "build.sh"
COUNTS = (2, 4, 6, 8, 10)
SERVICES_PER_HOST = 3
_READY_WITHIN = 120.0


@asynccontextmanager
async def standing(topology: Topology, folder: Path) -> AsyncIterator[Deployment]:
    """The topology on docker hosts, ready."""
    workspace = workspace_in(folder)
    async with DockerHosts.open(topology, workspace) as hosts:
        specs = tuple(patient(resolve_service(spec, hosts.addresses)) for spec in topology.services)
        async with deployed(topology, specs, hosts, workspace) as deployment:
            yield deployment


def patient(spec: ServiceSpec) -> ServiceSpec:
    """A slow service is a figure here, not a failure."""
    return replace(spec, ready=spec.ready and replace(spec.ready, within=_READY_WITHIN))


def up_and_down(topology: Topology) -> tuple[float, float]:
    """Seconds until all is ready, and until all is gone."""

    async def main(folder: Path) -> tuple[float, float]:
        began = time.perf_counter()
        async with standing(topology, folder):
            ready = time.perf_counter()
        return ready - began, time.perf_counter() - ready

    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(main(Path(name)))


def two_servers(runs: int) -> Sequence[Measured]:
    """Ours and the others in turns: whatever else the machine does hits all of them."""
    topology = load_topology(TWO_SERVERS, {})
    ways: Mapping[str, Callable[[], tuple[float, float]]] = {
        "docker hosts": lambda: up_and_down(topology),
        "testcontainers one by one": by_testcontainers,
        "testcontainers one by one, looking every 50 ms": lambda: by_testcontainers(0.05),
        "docker-compose": by_compose,
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, measure in ways.items():
            found[way].append(measure())
    ready = {way: [up for up, _ in times] for way, times in found.items()}
    own = ready["docker hosts"]
    slower = [-other / ours for ours, other in zip(own, ready["testcontainers one by one"], strict=True)]
    rows = [
        Measured("start to all ready", own, 4.0),
        Measured("down", [d for _, d in found["docker hosts"]], 2.0),
    ]
    print(f"testcontainers one by one / docker hosts: {-statistics.median(slower):.1f} (wanted: 3 or more)")
    for way in list(ways)[1:]:
        rows += [Measured(f"start to all ready, {way}", ready[way], None)]
        rows += [Measured(f"down, {way}", [down for _, down in found[way]], None)]
    return rows


def cut(runs: int) -> Sequence[Measured]:
    """Cable out and in, on a standing deployment."""
    pulled: list[float] = []
    plugged: list[float] = []

    async def main(folder: Path) -> None:
        async with standing(load_topology(TWO_SERVERS, {}), folder) as deployment:
            for _ in range(runs):
                began = time.perf_counter()
                async with Partition("server2").inject(deployment):
                    pulled.append(time.perf_counter() - began)
                    began = time.perf_counter()
                plugged.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
    return [
        Measured("cut a host off, with its proof", pulled, 0.3),
        Measured("plug it in again, with its proof", plugged, 0.3),
    ]


def hosts_of(count: int, folder: Path) -> Topology:
    """A topology of that many hosts, three services each."""
    registry = ' registry: "{registry.url}",'
    lines = ["hosts:"]
    for number in range(1, count + 1):
        lines.append(f"  server{number}:")
        if number == 1:
            lines.append("    registry: {kind: registry, port: 18000}")
            lines.append(f"    router: {{kind: router, port: 8000,{registry}}}")
        for place in range(1 if number == 1 else SERVICES_PER_HOST):
            backend = (
                f"backend: {{kind: mock-openai, name: backend-{number}-{place}, models: [model-{place}]}}"
            )
            port = f"port: {8100 + 100 * place},"
            lines.append(f"    worker-{number}-{place}: {{kind: babysitter, {port}{registry} {backend}}}")
    file = folder / "hosts.yaml"
    file.write_text("\n".join(lines), "utf-8")
    return load_topology(file, {})


def scale(runs: int) -> Sequence[Measured]:
    """More and more hosts, in turns."""
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in COUNTS}
    with tempfile.TemporaryDirectory() as name:
        topologies = {count: hosts_of(count, Path(name)) for count in COUNTS}
    for _ in range(runs):
        for count, topology in topologies.items():
            found[count].append(up_and_down(topology))
    rows: list[Measured] = []
    for count, times in found.items():
        ready = [up for up, _ in times]
        most = 25.0 if count == COUNTS[-1] else None
        rows.append(
            Measured(f"{count} hosts, {count * SERVICES_PER_HOST} services, to all ready", ready, most)
        )
        rows.append(Measured("  per host", [seconds / count for seconds in ready], None))
        rows.append(Measured("  down", [down for _, down in times], None))
    each = {c: statistics.median(up for up, _ in times) / c for c, times in found.items()}
    growth = max(each[more] / each[fewer] for fewer in COUNTS for more in COUNTS if more > fewer)
    print(f"cost per host: it grows by at most {100 * (growth - 1):.0f} % with more hosts (wanted: 30 %)")
    return rows


def images(runs: int) -> Sequence[Measured]:
    """Nothing has changed since the last build."""
    run(BUILD)
    found: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        run(BUILD)
        found.append(time.perf_counter() - began)
    return [Measured("docker/build.sh, nothing changed", found, 1.0)]


PARTS = {"two-servers": two_servers, "cut": cut, "scale": scale, "images": images}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all unless named")
    parser.add_argument("--runs", type=int, default=5, help="how often each is run")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown or arguments.runs < 1:
        parser.error(f"there is no part {', '.join(unknown)}" if unknown else "--runs must be above 0")
    print(f"Before: {machine()}", flush=True)
    measured = [one for name in arguments.parts or PARTS for one in PARTS[name](arguments.runs)]
    print(
        f"After: {machine()}\n\n| what | median | from to | runs | at most | met |\n|---|---|---|---|---|---|"
    )
    for one in measured:
        print(one.row())
    return 0 if all(one.met for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
