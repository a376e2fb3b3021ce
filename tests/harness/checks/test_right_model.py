"""Check `right_model`."""

from typing import Any

from harness.checks.right_model import RightModel
from harness.evidence import Facts, ServiceFacts
from harness.verdict import Status
from tests.harness.checks.story import Story

A = {"x-muster-backend": "babysitter-a-server", "x-served-by": "mock-service-a"}


def test_right_service_passes() -> None:
    """Requests that reached services with their model pass, and the services are named."""
    story = Story().request(1, "babysitter-a-server", claims=A).request(2, "mock-service-d", model="model-2")
    verdict = RightModel().judge(story.evidence())
    assert verdict.status is Status.PASS
    assert verdict.message == (
        "2 requests reached a service with their model: model-1 by babysitter-a; model-2 by babysitter-d"
    )


def test_wrong_service_is_named() -> None:
    """A request that reached a service without the model fails, even if it was refused there."""
    story = (
        Story()
        .request(1, "babysitter-b-server")
        .request(2, "babysitter-b-server", outcome="error", status=500)
    )
    verdict = RightModel().judge(story.evidence())
    assert verdict.status is Status.FAIL
    assert verdict.message == (
        "babysitter-b-server, which offers model-2, served model-1 "
        "(2 requests, first mu-load-1-000000 at 00:01.000)"
    )


def test_a_router_that_lies_is_found() -> None:
    """When the router claims one service and the answering one says it is another, both are named."""
    claims = A | {"x-served-by": "mock-service-c"}
    verdict = RightModel().judge(Story().request(1, "babysitter-a-server", claims=claims).evidence())
    assert verdict.status is Status.FAIL
    assert "one answer claims different services, babysitter-a-server and mock-service-c" in verdict.message


def test_every_claim_is_judged() -> None:
    """The service behind the router's claim is judged too."""
    claims = A | {"x-served-by": "mock-service-b"}
    verdict = RightModel().judge(Story().request(1, "babysitter-a-server", claims=claims).evidence())
    assert "mock-service-b, which offers model-2, served model-1" in verdict.message


def test_answered_as_another_model() -> None:
    """An answer that calls itself another model fails."""
    verdict = RightModel().judge(
        Story().request(1, "babysitter-a-server", answered_model="model-2").evidence()
    )
    assert verdict.status is Status.FAIL
    assert "babysitter-a-server was asked for model-1 and answered as model-2" in verdict.message


def test_a_service_without_its_model_is_named() -> None:
    """A 404 for a model that the service is stated to offer is the service's fault."""
    denial: dict[str, Any] = {
        "outcome": "error",
        "status": 404,
        "error": "404: The model 'model-1' does not exist",
    }
    verdict = RightModel().judge(Story().request(1, "babysitter-c-server", **denial).evidence())
    assert verdict.status is Status.FAIL
    assert "babysitter-c-server should offer model-1, but answered 404" in verdict.message


def test_who_served_is_not_said() -> None:
    """Without a claim the verdict is unknown and says what to configure."""
    verdict = RightModel().judge(Story().request(1).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "served_by: {header: NAME}" in verdict.message


def test_a_foreign_name_is_unknown() -> None:
    """A claim that belongs to no service is named, with where to state it."""
    verdict = RightModel().judge(Story().request(1, "somebody").evidence())
    assert verdict.status is Status.UNKNOWN
    assert "somebody" in verdict.message
    assert "answers_as" in verdict.message


def test_nothing_asked_is_unknown() -> None:
    """No request for a model, or none that was answered: unknown."""
    refused: dict[str, Any] = {"outcome": "error", "status": None, "error": "refused"}
    assert RightModel().judge(Story().evidence()).status is Status.UNKNOWN
    assert RightModel().judge(Story().request(1, model="").evidence()).status is Status.UNKNOWN
    verdict = RightModel().judge(Story().request(1, **refused).evidence())
    assert verdict.status is Status.UNKNOWN
    assert "none of 1 request was answered" in verdict.message


def test_a_replica_has_the_models_that_its_capabilities_name() -> None:
    """By type or by model; what it is called for besides is wrong."""
    able = ({"type": "multiply"}, {"type": "chat", "model": "qwen2"})
    worker = ServiceFacts(name="w", registers={"w": ()}, capabilities={"w": able})
    story = Story(Facts(services=(worker,))).request(1, "w", "multiply").request(2, "w", "qwen2")
    assert RightModel().judge(story.evidence()).status is Status.PASS
    verdict = RightModel().judge(story.request(3, "w", "divide").evidence())
    assert verdict.status is Status.FAIL
    assert "w, which offers chat, multiply and qwen2, served divide" in verdict.message
