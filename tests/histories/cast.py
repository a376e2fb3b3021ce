"""Who plays in the stored run of two servers: hosts, services, models, and the steps that are planned."""

from __future__ import annotations

from typing import Any

from harness.artifacts import Manifest, PlannedService, PlannedStep
from harness.evidence import Facts, ServiceFacts
from tests.histories.tape import BEGAN

FILE = "scenarios/discovery/two_servers.scenario.yaml"
HOSTS = {"server1": "127.64.1.1", "server2": "127.64.1.2"}
SERVICES = {
    "registry": ("server1", 18000),
    "router": ("server1", 8000),
    "babysitter-a": ("server1", 8100),
    "babysitter-b": ("server1", 8200),
    "babysitter-c": ("server2", 8100),
    "babysitter-d": ("server2", 8200),
}
MODELS = {"a": "model-1", "b": "model-2", "c": "model-1", "d": "model-2"}
ROUTER = "http://127.64.1.1:8000"
PARTITION = ("server 2 loses its cable",)
KILLED = ("server 2 is killed",)
FORGOTTEN = (*KILLED, "its services are forgotten")
NOTICES = (*KILLED, "nobody notices")
EVENLY = "model 1 is served by both servers, evenly"
BACKEND = ("the backend of A is killed",)
ROUTER_DIES = ("the router is killed",)

PLAN: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (("every service registers",), "", ("registered: 8 names within 10 s",)),
    (("the router offers both models, once each",), "", ("models: model-1, model-2 within 5 s",)),
    ((EVENLY,), "load chat model-1", ("distribution: round-robin, detect 25 %",)),
    (BACKEND, "fault kill babysitter-a.backend", ()),
    ((*BACKEND, "its babysitter brings it back"), "", ("healthy: babysitter-a-server within 10 s",)),
    (KILLED, "fault kill server2", ()),
    (FORGOTTEN, "", ("unregistered: babysitter-c-server, babysitter-d-server within 8 s",)),
    (NOTICES, "load chat model-1", ("availability: 100 %",)),
    (("server 2 comes back by itself",), "", ("registered: 4 names within 10 s",)),
    (PARTITION, "fault partition server2", ()),
    ((*PARTITION, "the clients go on"), "load chat model-2", ("availability: 100 %",)),
    (ROUTER_DIES, "fault kill router", ()),
    ((*ROUTER_DIES, "it is back at once"), "", ("healthy: router within 5 s",)),
    (("checks", "right_model"), "", ("right_model",)),
    (("checks", "logs"), "", ("logs: every request in its service",)),
)
STEPS = {
    path: PlannedStep(
        id=f"s{number}",
        path=path,
        does=does,
        asks=asks,
        file=FILE,
        line=11 + 3 * number,
        nodeid=f"{FILE}::{'::'.join(path)}",
    )
    for number, (path, does, asks) in enumerate(PLAN, start=1)
}


def manifest() -> Manifest:
    """What was going to be done."""
    services = tuple(
        PlannedService(
            name=name,
            host=host,
            kind=name.partition("-")[0],
            url=f"http://{HOSTS[host]}:{port}",
            command=("python", "-m", "system", name.partition("-")[0], "--port", str(port)),
            ports=(port,),
        )
        for name, (host, port) in SERVICES.items()
    )
    return Manifest(
        run="2025-11-20T22-10-03",
        scenario="two servers, two models",
        id="discovery.two_servers",
        file=FILE,
        about="Server 1 holds registry, router and two babysitters; server 2 holds two more. "
        "Model 1 runs on A and C, model 2 on B and D.",
        tags=("discovery", "routing", "fault"),
        hosts_kind="process",
        why_hosts="no container engine answers on this machine",
        hosts=HOSTS,
        services=services,
        steps=tuple(STEPS.values()),
        facts=Facts(services=tuple(map(_facts, SERVICES)), stated_by="scenarios/topologies/two-servers.yaml"),
        started=BEGAN,
        environment={"python": "3.11.7", "kernel": "Linux 6.1", "cpus": "2", "muster": "0.1.0"},
    )


def _facts(name: str) -> ServiceFacts:
    letter = name.rpartition("-")[2]
    if letter not in MODELS:
        return ServiceFacts(name=name, host=SERVICES[name][0], speaks=(name,))
    return ServiceFacts(
        name=name,
        host=SERVICES[name][0],
        registers={name: (), f"{name}-server": (MODELS[letter],)},
        answers_as=(f"{name}-server", f"mock-service-{letter}"),
    )


def entry(letter: str, *, server: bool) -> dict[str, Any]:
    """One entry of the registry."""
    host, port = SERVICES[f"babysitter-{letter}"]
    return {
        "url": f"http://{HOSTS[host]}:{port + (0 if server else 1)}",
        "host": HOSTS[host],
        "port": port,
        "healthy": True,
        "models": [MODELS[letter]] if server else [],
        "metadata": {"ttl": 3},
    }
