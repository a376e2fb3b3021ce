"""Chats over HTTP: who answers, what a failing provider means, what callers are told."""

import json
import re
import threading
import time
from datetime import datetime

import httpx
import pytest

from tests.system.gateway.front import (
    ANTHROPIC_KEY,
    ANTHROPIC_MODEL,
    OPENAI_KEY,
    OPENAI_MODEL,
    QUESTION,
    Front,
    Mock,
    front,
    told,
)

BOTH = pytest.mark.parametrize("path", ["/chat/direct", "/chat/decorator"])


@BOTH
def test_an_answer_has_the_documented_fields(gateway: Front, path: str) -> None:
    """Both chats answer content, provider, model, worker and time, and nothing else."""
    answer = told(gateway.ask(path, system_message="Be brief.", temperature=0.2, max_tokens=50))
    assert list(answer) == ["content", "provider", "model", "worker_id", "timestamp"]
    assert (answer["provider"], answer["model"]) == ("openai", OPENAI_MODEL)
    assert answer["worker_id"] == gateway.program.process.pid
    assert datetime.fromisoformat(answer["timestamp"]).tzinfo is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", answer["timestamp"])


@BOTH
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"fail": 401}, "authentication"),
        ({"fail": 403}, "authentication"),
        ({"rate_limit": "30s"}, "rate_limit"),
        ({"fail": 500}, "provider"),
        ({"fail": 404}, "provider"),
        ({"fail": 503}, "overloaded"),
        ({"hang": True}, "timeout"),
    ],
)
def test_the_next_provider_answers_for_one_that_fails(
    gateway: Front, path: str, fault: dict[str, object], word: str
) -> None:
    """Whatever goes wrong with the first provider, the second one answers; metrics name what it was."""
    before = _errors(gateway, word)
    gateway.openai.told(**fault)
    answer = gateway.ask(path)
    assert (answer.status_code, told(answer)["provider"]) == (200, "anthropic")
    assert _errors(gateway, word) == before + 1


def _errors(gateway: Front, word: str) -> int:
    counted = told(gateway.get("/metrics"))["requests"]["providers"]["openai"]["errors"]
    return int(counted.get(word, 0))


def test_a_bad_request_is_the_callers(gateway: Front) -> None:
    """What a provider refuses as mistaken is a 4xx at once: nobody else is asked, nobody's circuit counts it."""
    for fault in (400, 413, 422):
        gateway.calm()
        gateway.openai.told(fail=fault)
        answer = gateway.ask()
        assert answer.status_code == fault
        assert "told to fail" in told(answer)["detail"]
        assert gateway.anthropic.asked == 0
        assert gateway.circuit("openai")["failure_count"] == 0


def test_when_all_fail_the_caller_learns_what_was_tried(gateway: Front) -> None:
    """502, with every provider and the reason; no key, no trace."""
    gateway.openai.told(fail=500)
    gateway.anthropic.told(hang=True)
    answer = gateway.ask()
    assert answer.status_code == 502
    tried = told(answer)["tried"]
    assert [(one["provider"], one["error"], one.get("status")) for one in tried] == [
        ("openai", "provider", 500),
        ("anthropic", "timeout", None),
    ]
    assert "openai" in told(answer)["detail"]
    assert not re.search(rf"{OPENAI_KEY}|{ANTHROPIC_KEY}|Traceback|File \"", answer.text)


def test_when_all_are_busy_the_caller_learns_when_to_come_back(gateway: Front) -> None:
    """Rate limited by everybody is 503, with the shortest Retry-After."""
    gateway.openai.told(rate_limit="30s")
    gateway.anthropic.told(rate_limit="7s")
    answer = gateway.ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_a_rate_limited_provider_is_left_alone(gateway: Front) -> None:
    """Its Retry-After is heeded: the next request does not go there, though its circuit is closed."""
    gateway.openai.told(rate_limit="30s")
    for _ in range(3):
        assert told(gateway.ask())["provider"] == "anthropic"
    assert gateway.openai.asked == 1
    assert gateway.circuit("openai")["circuit_state"] == "CLOSED"
    assert gateway.circuit("openai")["available"] is False


def test_a_circuit_opens_after_the_threshold(gateway: Front) -> None:
    """Three failures open it; then the provider is not asked, /health degrades, and /ready stays."""
    gateway.openai.told(fail=500)
    for _ in range(5):
        assert told(gateway.ask())["provider"] == "anthropic"
    assert gateway.openai.asked == 3
    health = gateway.get("/health")
    assert (health.status_code, told(health)["status"]) == (503, "degraded")
    shown = told(health)["providers"][0]
    assert (shown["circuit_state"], shown["available"], shown["failure_count"]) == ("OPEN", False, 3)
    assert gateway.get("/health/ready").status_code == 200


def test_with_every_circuit_open_nobody_is_asked(gateway: Front) -> None:
    """503 with Retry-After, at once; the process lives and is not ready."""
    gateway.openai.told(fail=500)
    gateway.anthropic.told(fail=500)
    for _ in range(3):
        gateway.ask()
    answer = gateway.ask()
    assert answer.status_code == 503
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert {one["error"] for one in told(answer)["tried"]} == {"circuit_open"}
    assert gateway.openai.asked == 3
    ready = gateway.get("/health/ready")
    assert (ready.status_code, told(ready)["ready"], told(ready)["reason"]) == (
        503,
        False,
        "No providers available",
    )
    assert told(gateway.get("/health"))["status"] == "unhealthy"
    assert gateway.get("/health/live").status_code == 200


def test_a_reset_closes_a_circuit(gateway: Front) -> None:
    """After a reset the provider is asked again, and the answer of the reset says so."""
    gateway.openai.told(fail=500)
    for _ in range(3):
        gateway.ask()
    gateway.openai.calm()
    assert told(gateway.post("/providers/openai/reset")) == {
        "message": "Circuit breaker reset for provider 'openai'",
        "worker_id": gateway.program.process.pid,
        "new_state": "CLOSED",
    }
    assert told(gateway.ask())["provider"] == "openai"


def test_a_provider_that_recovers_is_the_first_again(providers: tuple[Mock, Mock]) -> None:
    """After the recovery time one request probes it, and from then on it comes first, by itself."""
    with front(*providers, "--threshold", "1", "--recovery", "300ms") as gateway:
        gateway.calm()
        gateway.openai.told(fail=500)
        assert told(gateway.ask())["provider"] == "anthropic"
        gateway.openai.calm()
        deadline = time.monotonic() + 10
        while told(gateway.ask())["provider"] != "openai":
            assert time.monotonic() < deadline, "it never came back"
        assert gateway.circuit("openai")["circuit_state"] == "CLOSED"


@BOTH
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": "  "}, "message"),
        ({"message": 7}, "message"),
        ({**QUESTION, "temperature": -0.1}, "temperature"),
        ({**QUESTION, "temperature": 2.1}, "temperature"),
        ({**QUESTION, "temperature": "hot"}, "temperature"),
        ({**QUESTION, "max_tokens": 0}, "max_tokens"),
        ({**QUESTION, "max_tokens": -5}, "max_tokens"),
        ({**QUESTION, "system_message": 1}, "system_message"),
    ],
)
def test_a_mistaken_field_is_named(gateway: Front, path: str, body: dict[str, object], field: str) -> None:
    """422, with the field's name, and no provider is asked."""
    gateway.calm()
    answer = gateway.post(path, body)
    assert answer.status_code == 422
    assert [one["loc"] for one in told(answer)["detail"]] == [["body", field]]
    assert gateway.openai.asked == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_object_is_refused(gateway: Front, body: bytes) -> None:
    """A body that cannot be read is the caller's mistake, never a 500."""
    answer = httpx.post(
        f"{gateway.url}/chat/direct", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)


def test_unknown_fields_are_ignored_and_empty_ones_not_sent(gateway: Front) -> None:
    """As the interface has always been."""
    answer = gateway.ask(surprise=1, temperature=None, max_tokens=None, system_message=None)
    assert answer.status_code == 200


def test_one_provider_can_be_asked_for(gateway: Front) -> None:
    """`provider` asks this one and nobody else; an unknown one is 404 and says which there are."""
    assert told(gateway.ask(provider="anthropic"))["model"] == ANTHROPIC_MODEL
    gateway.anthropic.told(fail=500)
    assert gateway.ask(provider="anthropic").status_code == 502
    answer = gateway.ask(provider="anthropik")
    assert answer.status_code == 404
    assert "did you mean anthropic" in told(answer)["detail"]


def test_an_unknown_provider_cannot_be_reset(gateway: Front) -> None:
    """404, as documented."""
    answer = gateway.post("/providers/nobody/reset")
    assert (answer.status_code, told(answer)["detail"]) == (404, "Provider 'nobody' not found")


def test_a_client_that_leaves_ends_its_call(gateway: Front) -> None:
    """The provider sees its connection close, and the circuit counts nothing."""
    gateway.openai.told(slow="1500ms")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}/chat/direct", json=QUESTION, timeout=0.3)
    deadline = time.monotonic() + 5
    while gateway.openai.record["answers"].get("499") != 1:
        assert time.monotonic() < deadline, gateway.openai.record
    assert gateway.anthropic.asked == 0
    assert gateway.circuit("openai")["failure_count"] == 0


def test_live_answers_while_calls_are_slow(gateway: Front) -> None:
    """Requests do not block the loop: ten slow ones are under way, and the probe is answered at once."""
    gateway.openai.told(slow="1500ms")
    threads = [threading.Thread(target=gateway.ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while gateway.openai.record["open"] < 10:
        assert time.monotonic() < deadline, gateway.openai.record
    assert gateway.get("/health/live").json() == {"alive": True, "worker_id": gateway.program.process.pid}
    assert gateway.openai.record["open"] > 0, "they had ended before"
    for thread in threads:
        thread.join()


def test_each_line_of_the_log_is_in_the_documented_form(gateway: Front) -> None:
    """`time - name - LEVEL - [Worker:pid] - text`, and it says which provider answered."""
    seen = len(gateway.program.lines)
    gateway.ask()
    pid = gateway.program.process.pid
    line = gateway.program.wait_for_line("processed request", after=seen).string
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    text = f"Worker {pid} processed request with provider: openai"
    assert re.fullmatch(rf"{stamp} - gateway - INFO - \[Worker:{pid}\] - {text}", line)


def test_lines_can_be_json(providers: tuple[Mock, Mock]) -> None:
    """With `--log-format json`: one object a line, the process in it."""
    with front(*providers, "--log-format", "json") as gateway:
        gateway.ask()
        line = json.loads(gateway.program.wait_for_line("processed request").string)
        pid = gateway.program.process.pid
    assert (line["level"], line["logger"], line["worker_id"]) == ("info", "gateway", pid)
    assert line["message"] == f"Worker {pid} processed request with provider: openai"


def test_every_answer_says_which_process_gave_it(gateway: Front) -> None:
    """In a header where the body has no place for it: errors and passed-through bytes, too."""
    pid = str(gateway.program.process.pid)
    for path in ("/", "/health", "/nowhere", "/metrics/prometheus", "/docs"):
        assert gateway.get(path).headers["x-worker-id"] == pid
    assert gateway.ask(temperature=9).headers["x-worker-id"] == pid


def test_the_index_says_what_there_is(gateway: Front) -> None:
    """`/` names every path, as documented."""
    index = told(gateway.get("/"))
    assert index["worker_id"] == gateway.program.process.pid
    assert (index["docs"], index["health"], index["version"]) == ("/docs", "/health", "1.0.0")
    for path in (
        index["health"],
        index["docs"],
        index["endpoints"]["providers"],
        index["endpoints"]["metrics"],
    ):
        assert gateway.get(path).status_code == 200


def test_metrics_are_json_or_prometheus_as_asked(gateway: Front) -> None:
    """JSON by default; text where Accept wants it, and at a path of its own."""
    gateway.ask()
    shown = told(gateway.get("/metrics"))
    assert list(shown)[:6] == [
        "worker_id",
        "timestamp",
        "redis_status",
        "sync_enabled",
        "circuit_breakers",
        "provider_count",
    ]
    assert (shown["redis_status"], shown["provider_count"]) == ("disconnected", 2)
    assert set(shown["circuit_breakers"]["openai"]) == {
        "state",
        "failure_count",
        "success_count",
        "last_failure_time",
        "last_success_time",
    }
    by_accept = gateway.get("/metrics", headers={"accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    by_path = gateway.get("/metrics/prometheus")
    for text in (by_accept, by_path):
        assert text.headers["content-type"].startswith("text/plain")
        assert re.search(
            r'^muster_gateway_circuit_state\{provider="openai",state="CLOSED",worker_id="\d+"\} 1',
            text.text,
            re.MULTILINE,
        )


def test_it_leaves_cleanly(providers: tuple[Mock, Mock]) -> None:
    """SIGTERM ends it with 0, and a request under way is answered."""
    with front(*providers, "--timeout", "5s") as gateway:
        gateway.calm()
        gateway.openai.told(slow="500ms")
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(gateway.ask()))
        asking.start()
        deadline = time.monotonic() + 5
        while not gateway.openai.record["open"]:
            assert time.monotonic() < deadline
        assert gateway.program.stop() == 0
        asking.join()
        assert answers[0].status_code == 200
        assert f"Worker {gateway.program.process.pid} shutdown complete" in gateway.program.output
