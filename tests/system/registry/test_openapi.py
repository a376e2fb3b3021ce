"""What the registry says of itself at /openapi.json is what it does: schemathesis asks it, in both dialects."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS

from system.testing import Running, running
from tests.system.registry.served import ADDRESS
from tests.system.registry.simulated import SERVICE

ENDLESS = {"GET /watch", "POST /register"}
FORGIVING = {"POST /services/{name}/heartbeat", "POST /register/{name}/heartbeat"}
"""A heartbeat counts, whatever its body says."""
PER_OPERATION = 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registry() -> Iterator[Running]:
    with running(
        "system", "registry", "--host", ADDRESS, "--port", "0", "--health-timeout", "0.2"
    ) as program:
        yield program


@pytest.fixture(scope="module")
def operations(registry: Running) -> dict[str, Any]:
    described = schemathesis.openapi.from_url(f"{registry.url}/openapi.json")
    found: list[Any] = [one.ok() for one in described.get_all_operations()]  # type: ignore[union-attr]
    return {operation.label: operation for operation in found}


def checks(*, but: set[str]) -> list[Any]:
    """All that schemathesis can check, but for those."""
    schemathesis.checks.load_all_checks()
    known = {check.__name__: check for check in CHECKS.get_all()}
    assert but <= set(known)
    return [check for name, check in known.items() if name not in but]


def cases(operation: Any) -> st.SearchStrategy[Case[Any]]:
    """Requests as described, and others; about an entry that is there, or one that is not."""
    modes = [GenerationMode.POSITIVE]
    if operation.label not in ENDLESS and (operation.body or operation.query or operation.headers):
        modes.append(GenerationMode.NEGATIVE)
    made = st.one_of(*[operation.as_strategy(generation_mode=mode) for mode in modes])
    return st.tuples(made, st.booleans()).map(lambda both: _named(*both))


def _named(case: Case[Any], known: bool) -> Case[Any]:
    if known and case.path_parameters and "name" in case.path_parameters:
        case.path_parameters["name"] = SERVICE["name"]
    return case


def ask(case: Case[Any]) -> None:
    # What text may hold is told in words: that it is printable cannot be said in JSON Schema.
    but = {"positive_data_acceptance"}
    if case.operation.label in FORGIVING | {"GET /services"}:
        but.add("negative_data_rejection")
    case.call_and_validate(checks=checks(but=but), timeout=5)


def played(operation: Any, seed: Any) -> None:
    @settings(
        max_examples=PER_OPERATION,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(operation))
    def every(case: Case[Any]) -> None:
        seed()
        ask(case)

    every()


def test_every_answer_is_one_that_is_described(registry: Running, operations: dict[str, Any]) -> None:
    """Whatever is asked: never a 5xx, only statuses and media types that are described, and mistakes refused."""
    assert {"POST /services", "GET /route", "DELETE /register/{name}", "POST /services/{name}/drain"} <= set(
        operations
    )
    with httpx.Client(base_url=registry.url, timeout=5) as client:

        def seed() -> None:
            client.post("/services", json=SERVICE).raise_for_status()

        for label in sorted(set(operations) - ENDLESS):
            played(operations[label], seed)
        assert client.get("/health").json()["status"] == "healthy"


def test_a_stream_begins_as_it_is_described(registry: Running, operations: dict[str, Any]) -> None:
    """Registrations by connection, right ones and others: a stream of events, or a refusal that is described."""
    operation = operations["POST /register"]
    described = operation.definition.raw["responses"]
    answered = set()

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(*[operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def every(case: Case[Any]) -> None:
        request = case.as_transport_kwargs(base_url=registry.url)
        told = {"json": "json", "data": "content", "headers": "headers"}
        kept = {told[key]: request[key] for key in told if request.get(key) is not None}
        with httpx.stream("POST", f"{registry.url}/register", timeout=5, **kept) as response:
            answered.add(response.status_code)
            expected = described[str(response.status_code)]["content"]
            assert response.headers["content-type"].partition(";")[0] in expected

    every()
    assert {200, 422} <= answered
