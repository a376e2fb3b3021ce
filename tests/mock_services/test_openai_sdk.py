"""The OpenAI mock as the official SDK sees it, well and misbehaving."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from system.testing import Running, running

MODEL = "gpt-4o-mini"
TEXT = f"Hello from openai (model: {MODEL})"
ASKED: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
START = ("mock_services", "openai", "--host", "127.77.1.6", "--port", "0", "--name", "openai")


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running(*START, "--models", MODEL, "--interval", "0") as mock:
        yield mock


@pytest.fixture
def mock(shared: Running) -> Iterator[Running]:
    yield shared
    httpx.delete(shared.url + "/control")


@pytest.fixture
def client(mock: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=mock.url + "/v1", max_retries=0, timeout=5) as client:
        yield client


def told(mock: Running, **faults: Any) -> None:
    assert httpx.post(mock.url + "/control", json=faults).status_code == 200


def test_the_sdk_gets_an_answer_plain_and_streamed(client: openai.OpenAI) -> None:
    """The stream's text is what the plain answer holds."""
    plain = client.chat.completions.create(**ASKED)
    chunks = client.chat.completions.create(**ASKED, stream=True)

    assert plain.choices[0].message.content == TEXT
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_a_failure_is_the_sdks_error(
    mock: Running, client: openai.OpenAI, status: int, kind: type[openai.APIStatusError]
) -> None:
    """`fail` with a status is the SDK's error for it; once, with `fail_times: 1`."""
    told(mock, fail=status, fail_times=1)
    with pytest.raises(kind, match="told to fail"):
        client.chat.completions.create(**ASKED)

    assert client.chat.completions.create(**ASKED).choices[0].finish_reason == "stop"


def test_a_rate_limit_says_when_to_come_back(mock: Running, client: openai.OpenAI) -> None:
    """`rate_limit` answers 429 with Retry-After."""
    told(mock, rate_limit="3s")
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(**ASKED)

    assert refused.value.response.headers["retry-after"] == "3"


def test_a_hanging_mock_runs_into_the_clients_timeout(mock: Running, client: openai.OpenAI) -> None:
    """`hang` never answers."""
    told(mock, hang=True)
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**ASKED, timeout=0.1)


@pytest.mark.parametrize(
    ("faults", "kind"), [({"break_stream": 3}, Exception), ({"error_in_stream": 3}, openai.APIError)]
)
def test_half_a_stream_is_an_error(
    mock: Running, client: openai.OpenAI, faults: dict[str, Any], kind: type[Exception]
) -> None:
    """A stream that is cut or errs gives what came before, then an error."""
    told(mock, **faults)
    got: list[str] = []
    chunks = client.chat.completions.create(**ASKED, stream=True)
    with pytest.raises(kind):
        got.extend(chunk.choices[0].delta.content or "" for chunk in chunks)

    assert "".join(got) == "Hello from"
