"""The OpenAI mock as a program: what its clients see, and what it logs."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from system.testing import Running, running

CHAT: dict[str, Any] = {"model": "model-1", "messages": [{"role": "user", "content": "Hello"}]}
START = ("mock_services", "openai", "--host", "127.77.1.1", "--port", "0", "--name", "mock-service-a")


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running(*START, "--models", "model-1,model-2", "--interval", "0") as mock:
        yield mock


@pytest.fixture
def mock(shared: Running) -> Iterator[Running]:
    yield shared
    httpx.delete(shared.url + "/control")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_an_answer_says_who_gave_it(mock: Running, path: str) -> None:
    """Content and header name the service; the caller's request id comes back."""
    answer = httpx.post(mock.url + path, json=CHAT, headers={"x-request-id": "r-1"})

    assert answer.json()["choices"][0]["message"]["content"] == "Hello from mock-service-a (model: model-1)"
    assert (answer.headers["x-served-by"], answer.headers["x-request-id"]) == ("mock-service-a", "r-1")


def test_each_request_is_one_line_of_the_log(mock: Running) -> None:
    """The line holds the request's id, model, path and status."""
    httpx.post(mock.url + "/v1/chat/completions", json=CHAT, headers={"x-request-id": "logged-1"})

    mock.wait_for_line("^request_id=logged-1 model=model-1 path=/v1/chat/completions status=200$")


def test_a_header_cannot_forge_a_log_line(mock: Running) -> None:
    """A request id with spaces is quoted, so that no field of the line can be faked."""
    headers = {"x-request-id": "x status=500"}
    httpx.post(mock.url + "/v1/chat/completions", json=CHAT, headers=headers)

    mock.wait_for_line('^request_id="x status=500" model=model-1 path=/v1/chat/completions status=200$')


def test_a_stream_ends_with_done(mock: Running) -> None:
    """Chunks are OpenAI's, one for each word, and `[DONE]` closes the stream."""
    answer = httpx.post(mock.url + "/v1/chat/completions", json={**CHAT, "stream": True})
    data = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]

    assert answer.headers["content-type"] == "text/event-stream"
    assert data[-1] == "[DONE]"
    assert {json.loads(chunk)["object"] for chunk in data[:-1]} == {"chat.completion.chunk"}
    assert len(data) == 1 + len(["Hello", "from", "mock-service-a", "(model:", "model-1)"]) + 1 + 1


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_models_are_listed(mock: Running, path: str) -> None:
    """Both paths list every model."""
    assert [model["id"] for model in httpx.get(mock.url + path).json()["data"]] == ["model-1", "model-2"]


def test_health_counts_requests(mock: Running) -> None:
    """Health tells the service's name and how many requests for work it has had."""
    before = httpx.get(mock.url + "/health").json()
    httpx.post(mock.url + "/v1/completions", json={"model": "model-1", "prompt": "x"})
    after = httpx.get(mock.url + "/health").json()

    assert (before["status"], before["service"]) == ("healthy", "mock-service-a")
    assert after["requests"] == before["requests"] + 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"{broken", 400),
        ("POST", "/v1/chat/completions", b"\xff", 400),
        ("POST", "/v1/chat/completions", b"", 400),
        ("POST", "/v1/chat/completions", b'{"model":"nope","messages":[{"role":"user"}]}', 404),
        ("POST", "/v1/embeddings", b'{"model":"model-1"}', 400),
        ("POST", "/control", b'{"slow":"soon"}', 400),
        ("GET", "/v1/chat/completions", b"", 405),
        ("GET", "/nothing/here", b"", 404),
    ],
)
def test_bad_requests_get_openais_error_envelope(
    mock: Running, method: str, path: str, body: bytes, status: int
) -> None:
    """Whatever is sent, the answer is a 4xx with a message, never a 500."""
    answer = httpx.request(method, mock.url + path, content=body)

    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_failure_can_be_ordered_for_a_number_of_requests(mock: Running) -> None:
    """`fail` with `fail_times` fails that many requests and then answers again."""
    httpx.post(mock.url + "/control", json={"fail": 503, "fail_times": 2})

    statuses = [httpx.post(mock.url + "/v1/chat/completions", json=CHAT).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


def test_a_rate_limit_says_when_to_come_back(mock: Running) -> None:
    """`rate_limit` answers 429 with Retry-After in seconds."""
    httpx.post(mock.url + "/control", json={"rate_limit": "7s"})
    answer = httpx.post(mock.url + "/v1/chat/completions", json=CHAT)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_a_stream_can_be_broken(mock: Running) -> None:
    """`break_stream` closes the connection after so many chunks, without an end of the stream."""
    httpx.post(mock.url + "/control", json={"break_stream": 2})
    got: list[str] = []

    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", mock.url + "/v1/chat/completions", json={**CHAT, "stream": True}) as answer,
    ):
        got.extend(line for line in answer.iter_lines() if line)

    assert len(got) == 2
    mock.wait_for_line("status=200 stream broken after 2 chunks$")


def test_a_slow_answer_waits_before_its_first_byte(mock: Running) -> None:
    """`slow` delays the answer by the time given, and not by much more."""
    httpx.post(mock.url + "/control", json={"slow": "150ms"})
    answer = httpx.post(mock.url + "/v1/chat/completions", json=CHAT)

    assert 0.15 <= answer.elapsed.total_seconds() < 1.0


def test_a_client_that_leaves_ends_the_work(mock: Running) -> None:
    """A hanging request ends, and is logged, as soon as its client has gone."""
    httpx.post(mock.url + "/control", json={"hang": True})
    headers = {"x-request-id": "leaver"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(mock.url + "/v1/chat/completions", json=CHAT, headers=headers, timeout=0.1)

    mock.wait_for_line("request_id=leaver .*status=499 client left after 0 chunks", within=2)


def test_a_client_that_leaves_a_stream_ends_it(mock: Running) -> None:
    """A slow stream stops at the chunk where its client left."""
    httpx.post(mock.url + "/control", json={"slow_chunks": "5s"})
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream(
            "POST",
            mock.url + "/v1/chat/completions",
            json={**CHAT, "stream": True},
            headers={"x-request-id": "stream-leaver"},
            timeout=0.1,
        ) as answer,
    ):
        answer.read()

    mock.wait_for_line("request_id=stream-leaver .*status=499 client left after 0 chunks", within=2)


def test_health_can_be_made_to_fail_and_reset(mock: Running) -> None:
    """`unhealthy` turns health to 503 while work goes on; DELETE /control takes everything back."""
    httpx.post(mock.url + "/control", json={"unhealthy": True})
    assert httpx.get(mock.url + "/health").status_code == 503
    assert httpx.post(mock.url + "/v1/chat/completions", json=CHAT).status_code == 200

    assert httpx.delete(mock.url + "/control").json()["unhealthy"] is False
    assert httpx.get(mock.url + "/health").status_code == 200


def test_faults_are_start_options_too() -> None:
    """The same words work on the command line."""
    with running(*START, "--fail", "500", "--fail-times", "1") as mock:
        first, second = (httpx.post(mock.url + "/chat/completions", json=CHAT).status_code for _ in range(2))

    assert (first, second) == (500, 200)


def test_a_mistaken_start_option_is_refused() -> None:
    """Wrong options are named, all at once, with exit code 2."""
    with running("mock_services", "openai", "--fail", "200", "--slwo", "1s", ready="") as mock:
        assert mock.wait() == 2

    assert mock.lines == [
        "openai: unknown option --slwo; did you mean --slow?",
        "openai: --fail: '200' must be a status from 400 to 599",
    ]


def test_a_stopped_mock_exits_clean() -> None:
    """SIGTERM ends it with 0, at once when nothing is open."""
    with running(*START) as mock:
        assert mock.stop(within=2) == 0


def test_a_stream_can_end_in_an_error(mock: Running) -> None:
    """`error_in_stream` sends OpenAI's error after so many chunks; the stream then ends without `[DONE]`."""
    httpx.post(mock.url + "/control", json={"error_in_stream": 2})
    text = httpx.post(mock.url + "/v1/chat/completions", json={**CHAT, "stream": True}).text
    data = [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line]

    assert ["error" in document for document in data] == [False, False, True]
    assert data[-1]["error"]["type"] == "server_error"


def test_its_record_counts_since_the_control_changed(mock: Running) -> None:
    """`/record` tells how many requests came, how many at once at most, and how each was answered."""
    httpx.post(mock.url + "/v1/chat/completions", json=CHAT)
    httpx.post(mock.url + "/control", json={"fail": 503, "fail_times": 2, "slow": "50ms"})
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: httpx.post(mock.url + "/v1/chat/completions", json=CHAT), range(3)))
    record = httpx.get(mock.url + "/record").json()

    assert record == {"requests": 3, "at_once": 3, "open": 0, "answers": {"503": 2, "200": 1}}
    assert httpx.delete(mock.url + "/record").json()["requests"] == 0
