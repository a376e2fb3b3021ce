"""The eight validations of a two-server deployment: each passes, fails naming the culprit, or says it saw nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness.checks.availability import Availability
from harness.checks.distribution import Distribution
from harness.checks.http import Http
from harness.checks.logs import Logs
from harness.checks.models import Models
from harness.checks.registered import Registered
from harness.checks.right_model import RightModel
from harness.events import LogRead, RequestLogged, Seen
from harness.verdict import Status, merge_verdicts
from tests.harness.checks.story import ALL_NAMES, Story

REGISTRY, ROUTER = "http://server1:18000/health", "http://server1:8000/health"
BABYSITTERS = ("babysitter-a", "babysitter-b", "babysitter-c", "babysitter-d")


def health(url: str, status: int) -> Callable[[], Story]:
    value = {"status": status, "headers": {}, "body": "", "json": None}
    return lambda: Story().add(1, Seen(source="", view=f"http:{url}", ok=True, took=0.01, value=value))


def chats(model: str, *servers: str, **fields: Any) -> Story:
    """One chat answered by each of these."""
    story = Story()
    for number, server in enumerate(servers):
        story.request(number / 100, server, model=model, answered_model=model, **fields)
    return story


def logged(*services: str) -> Story:
    """Two requests served by A and C; these services' logs hold the request they served."""
    story = chats("model-1", "babysitter-a-server", "babysitter-c-server")
    for number, service in enumerate(("babysitter-a", "babysitter-c")):
        if service in services:
            name = f"mu-load-1-{number:06d}"
            story.add(2, RequestLogged(service=service, request=name, log="x.log", line=1))
    for service in BABYSITTERS:
        story.add(3, LogRead(service=service, log="x.log", lines=1))
    return story


@dataclass(frozen=True)
class Validation:
    """Checks judged together, a deployment that works, one with a defect, and the words that name the culprit."""

    checks: tuple[Any, ...]
    works: Callable[[], Story]
    broken: Callable[[], Story]
    culprit: str


DENIAL: dict[str, Any] = {"outcome": "error", "status": 404, "error": "404: no model 'model-2'"}

VALIDATIONS = {
    "1 the registry is healthy": Validation(
        (Http(REGISTRY, status=200),), health(REGISTRY, 200), health(REGISTRY, 503), REGISTRY
    ),
    "2 the router is healthy": Validation(
        (Http(ROUTER, status=200),),
        health(ROUTER, 200),
        lambda: Story().silence(1, f"{ROUTER} refused the connection", "", f"http:{ROUTER}"),
        f"{ROUTER} refused the connection",
    ),
    "3 all services are registered": Validation(
        (Registered("all", serving_at_least=4),),
        lambda: Story().entries(1, *ALL_NAMES),
        lambda: Story().entries(1, *ALL_NAMES[:-1]),
        "babysitter-d-server is not registered at registry (never seen)",
    ),
    "4 both models are offered": Validation(
        (Models(("model-1", "model-2"), at="router"),),
        lambda: Story().models(1, "model-1", "model-2"),
        lambda: Story().models(1, "model-1"),
        "model-2 is missing (offered by babysitter-b-server and babysitter-d-server)",
    ),
    "5 model-1 is answered by A or C": Validation(
        (Availability(1.0), RightModel()),
        lambda: chats("model-1", "babysitter-a-server", "babysitter-c-server"),
        lambda: chats("model-1", "babysitter-a-server", "babysitter-b-server"),
        "babysitter-b-server, which offers model-2, served model-1",
    ),
    "6 model-2 is answered by B or D": Validation(
        (Availability(1.0), RightModel()),
        lambda: chats("model-2", "babysitter-b-server", "babysitter-d-server"),
        lambda: chats("model-2", "babysitter-d-server", **DENIAL),
        "babysitter-d-server should offer model-2, but answered 404",
    ),
    "7 the load is shared": Validation(
        (Distribution("round-robin", detect=0.25),),
        lambda: chats("model-1", *("babysitter-a-server", "babysitter-c-server") * 100),
        lambda: chats("model-1", *("babysitter-a-server",) * 200),
        "babysitter-c-server served none of 200",
    ),
    "8 the logs tell the same": Validation(
        (Logs(),),
        lambda: logged("babysitter-a", "babysitter-c"),
        lambda: logged("babysitter-a"),
        "babysitter-c served requests (as babysitter-c-server) that its log does not hold",
    ),
}


@pytest.mark.parametrize("validation", VALIDATIONS.values(), ids=VALIDATIONS)
def test_what_works_passes(validation: Validation) -> None:
    """A deployment that does what is stated passes."""
    evidence = validation.works().evidence()
    assert merge_verdicts(check.judge(evidence) for check in validation.checks).status is Status.PASS


@pytest.mark.parametrize("validation", VALIDATIONS.values(), ids=VALIDATIONS)
def test_the_defect_is_found_and_named(validation: Validation) -> None:
    """A planted defect fails, and the message names the culprit."""
    evidence = validation.broken().evidence()
    verdict = merge_verdicts(check.judge(evidence) for check in validation.checks)
    assert verdict.status is Status.FAIL
    assert validation.culprit in verdict.message


@pytest.mark.parametrize("validation", VALIDATIONS.values(), ids=VALIDATIONS)
def test_nothing_seen_is_unknown(validation: Validation) -> None:
    """When nothing happened, nothing passes."""
    evidence = Story().evidence(until=10)
    assert merge_verdicts(check.judge(evidence) for check in validation.checks).status is Status.UNKNOWN
