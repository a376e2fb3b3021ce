"""The Anthropic mock as the official SDK sees it, and as its bytes are."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from system.testing import Running, running

MODEL = "claude-3-5-haiku-20241022"
TEXT = f"Hello from claude (model: {MODEL})"
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
ASKED: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}
START = ("mock_services", "anthropic", "--host", "127.77.1.3", "--port", "0", "--name", "claude")


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running(*START, "--interval", "0") as mock:
        yield mock


@pytest.fixture
def mock(shared: Running) -> Iterator[Running]:
    yield shared
    httpx.delete(shared.url + "/control")


@pytest.fixture
def client(mock: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url=mock.url, max_retries=0, timeout=5) as client:
        yield client


def told(mock: Running, **faults: Any) -> None:
    assert httpx.post(mock.url + "/control", json=faults).status_code == 200


def test_the_sdk_gets_a_message(client: anthropic.Anthropic) -> None:
    """A message has text, stop reason and usage; its header names the provider."""
    raw = client.messages.with_raw_response.create(**ASKED)
    message = raw.parse()

    assert raw.headers["x-served-by"] == "claude"
    assert [(block.type, block.text) for block in message.content if block.type == "text"] == [("text", TEXT)]
    assert (message.model, message.stop_reason, message.usage.output_tokens) == (MODEL, "end_turn", 5)


def test_the_sdk_gets_a_stream(client: anthropic.Anthropic) -> None:
    """The stream's text and its final message are what the plain answer would have been."""
    with client.messages.stream(**ASKED) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert text == TEXT
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5)


def test_its_events_are_anthropics(mock: Running) -> None:
    """Each event's name is its type, and they come in the order of the real API."""
    text = httpx.post(mock.url + "/v1/messages", json={**ASKED, "stream": True}, headers=HEADERS).text
    events = [event.split("\n") for event in text.split("\n\n") if event]
    names = [name.removeprefix("event: ") for name, _ in events]

    assert names == [json.loads(data.removeprefix("data: "))["type"] for _, data in events]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[3:-3] == ["content_block_delta"] * 5
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_limits_and_stop_sequences_end_a_message(client: anthropic.Anthropic) -> None:
    """`max_tokens` and `stop_sequences` cut the text and say so."""
    short = client.messages.create(**{**ASKED, "max_tokens": 2})
    stopped = client.messages.create(**ASKED, stop_sequences=[" (model"])

    assert (short.stop_reason, short.content[0].to_dict()["text"]) == ("max_tokens", "Hello from")
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " (model")
    assert stopped.content[0].to_dict()["text"] == "Hello from claude"


def test_tokens_and_models_are_told(client: anthropic.Anthropic) -> None:
    """What else the SDK asks for: the tokens of a request, the models there are."""
    counted = client.messages.count_tokens(model=MODEL, messages=ASKED["messages"])

    assert counted.input_tokens > 0
    assert [model.id for model in client.models.list()] == [MODEL]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_a_failure_is_the_sdks_error(
    mock: Running, client: anthropic.Anthropic, status: int, kind: type[anthropic.APIStatusError], words: str
) -> None:
    """`fail` with a status is the error that the real API gives with it; once, with `fail_times: 1`."""
    told(mock, fail=status, fail_times=1)
    with pytest.raises(kind) as refused:
        client.messages.create(**ASKED)

    assert refused.value.status_code == status
    assert refused.value.body == {
        "type": "error",
        "error": {"type": words, "message": "told to fail"},
        "request_id": None,
    }
    assert client.messages.create(**ASKED).stop_reason == "end_turn"


def test_a_rate_limit_says_when_to_come_back(mock: Running, client: anthropic.Anthropic) -> None:
    """`rate_limit` answers 429 with Retry-After."""
    told(mock, rate_limit="7s")
    with pytest.raises(anthropic.RateLimitError) as refused:
        client.messages.create(**ASKED)

    assert refused.value.response.headers["retry-after"] == "7"


def test_a_hanging_provider_runs_into_the_clients_timeout(mock: Running, client: anthropic.Anthropic) -> None:
    """`hang` never answers."""
    told(mock, hang=True)
    with pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**ASKED, timeout=0.1)

    mock.wait_for_line("path=/v1/messages status=499 client left", within=2)


@pytest.mark.parametrize(
    ("faults", "kind"),
    [({"break_stream": 4}, Exception), ({"error_in_stream": 4}, anthropic.APIStatusError)],
)
def test_half_a_stream_is_an_error(
    mock: Running, client: anthropic.Anthropic, faults: dict[str, Any], kind: type[Exception]
) -> None:
    """A stream that is cut or errs in the middle gives the client what came before, then an error."""
    told(mock, **faults)
    got: list[str] = []
    with pytest.raises(kind), client.messages.stream(**ASKED) as stream:
        got.extend(stream.text_stream)

    assert "".join(got) == "Hello"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_tokens": None}, "max_tokens: max_tokens must be"),
        ({"temperature": 1.5}, "temperature: temperature must be a number from 0 to 1"),
        ({"messages": [{"role": "system", "content": "x"}]}, "(`system` is a field of its own)"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages must be a list"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "messages must be a list",
        ),
    ],
)
def test_what_the_real_api_refuses_is_refused(mock: Running, change: dict[str, Any], words: str) -> None:
    """A field that the real API does not take is 400 `invalid_request_error`, naming the field."""
    answer = httpx.post(mock.url + "/v1/messages", json={**ASKED, **change}, headers=HEADERS)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert words in answer.json()["error"]["message"]


def test_an_unknown_model_is_not_found(client: anthropic.Anthropic) -> None:
    """404, as the real API says it."""
    with pytest.raises(anthropic.NotFoundError, match="model: nope"):
        client.messages.create(**{**ASKED, "model": "nope"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"anthropic-version": "2023-06-01"}, 401),
        ({"x-api-key": "wrong", "anthropic-version": "2023-06-01"}, 401),
        ({"x-api-key": "right"}, 400),
        ({"authorization": "Bearer right", "anthropic-version": "2023-06-01"}, 200),
        ({"x-api-key": "right", "anthropic-version": "2023-06-01"}, 200),
    ],
)
def test_a_key_and_a_version_are_asked_for(headers: dict[str, str], status: int) -> None:
    """Without a key, or with another than `--api-key`, 401; without a version 400."""
    with running(*START, "--api-key", "right") as mock:
        assert httpx.post(mock.url + "/v1/messages", json=ASKED, headers=headers).status_code == status
