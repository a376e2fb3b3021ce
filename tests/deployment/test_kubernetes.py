"""docker/kubernetes: manifests that Kubernetes' own schemas accept, and that fit together."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from system.config import read_config
from system.gateway.settings import GatewayConfig

FOLDER = Path(__file__).parents[2] / "docker" / "kubernetes"
OBJECTS: list[dict[str, Any]] = [
    document for file in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())
]
VERSIONS = ("1.29", "1.33", kubernetes_validate.latest_version())


def of(kind: str, name: str = "gateway") -> dict[str, Any]:
    (found,) = (o for o in OBJECTS if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


def container(workload: dict[str, Any]) -> dict[str, Any]:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", OBJECTS, ids=lambda o: f"{o['kind']}-{o['metadata']['name']}")
def test_kubernetes_accepts_it(document: dict[str, Any], version: str) -> None:
    """Every object is valid by the strict schema: no field is unknown, none has a wrong type."""
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replica"), 3),
        (("spec", "replicas"), "three"),
        (("spec", "template", "spec", "enableServiceLink"), False),
    ],
)
def test_a_mistake_is_seen(path: tuple[str, ...], value: object) -> None:
    """The schemas refuse an unknown field and a wrong type, so that accepting means something."""
    document = copy.deepcopy(of("Deployment"))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_the_deployment_is_what_the_seed_asks_for() -> None:
    """Three replicas behind a load balancer from 80 to 8000, with both probes, limits, and a budget below three."""
    service, deployment = of("Service"), of("Deployment")
    gateway = container(deployment)

    assert service["spec"]["type"] == "LoadBalancer"
    assert [(p["port"], p["targetPort"]) for p in service["spec"]["ports"]] == [(80, 8000)]
    assert deployment["spec"]["replicas"] == 3
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert set(gateway["resources"]) == {"requests", "limits"}
    assert of("PodDisruptionBudget")["spec"]["minAvailable"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_selectors_find_their_pods() -> None:
    """Services, budget and network policy select the labels of a workload that is there."""
    pods = [
        o["spec"]["template"]["metadata"]["labels"]
        for o in OBJECTS
        if o["kind"] in ("Deployment", "StatefulSet")
    ]
    for one in OBJECTS:
        selector = one.get("spec", {}).get("podSelector") or one.get("spec", {}).get("selector") or {}
        wanted = selector.get("matchLabels", selector)
        if wanted:
            assert any(wanted.items() <= labels.items() for labels in pods), one["kind"]


def test_the_gateway_understands_what_it_is_told() -> None:
    """Its arguments are options of the program, its variables are read, and each key is one of the secret."""
    gateway = container(of("Deployment"))
    program, name, *arguments = gateway["args"]
    plain = {one["name"]: one["value"] for one in gateway["env"] if "value" in one}
    config = read_config("gateway", "", GatewayConfig, arguments, plain)

    assert (program, name) == ("muster-system", "gateway")
    assert (config.port, config.workers) == (8000, 2)
    assert config.redis_host == of("Service", "redis-service")["metadata"]["name"]
    secret = of("Secret", "api-keys")["stringData"]
    asked = [one["valueFrom"]["secretKeyRef"] for one in gateway["env"] if "valueFrom" in one]
    assert {ref["name"] for ref in asked} == {"api-keys"}
    assert {ref["key"] for ref in asked} == set(secret)


def test_the_pod_has_time_to_end() -> None:
    """Its grace period is longer than the time before the drain, and the drain."""
    deployment = of("Deployment")
    gateway = container(deployment)
    waits = int(gateway["lifecycle"]["preStop"]["exec"]["command"][-1])
    config = read_config("gateway", "", GatewayConfig, gateway["args"][2:], {})

    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > waits + config.drain


def test_redis_keeps_what_it_is_told() -> None:
    """Redis appends to a file on a volume, asks for a password, and drops keys rather than refuse new ones."""
    redis = of("StatefulSet", "gateway-redis")
    arguments = container(redis)["args"]

    assert arguments[arguments.index("--appendonly") + 1] == "yes"
    assert arguments[arguments.index("--requirepass") + 1] == "$(REDIS_PASSWORD)"
    assert arguments[arguments.index("--maxmemory-policy") + 1] == "allkeys-lru"
    (mount,), (claim,) = container(redis)["volumeMounts"], redis["spec"]["volumeClaimTemplates"]
    assert (mount["mountPath"], mount["name"]) == ("/data", claim["metadata"]["name"])
