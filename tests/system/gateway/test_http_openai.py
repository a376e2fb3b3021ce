"""OpenAI's own paths: any OpenAI client can use the gateway, and bytes stay what they are."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.system.gateway.front import (
    ANTHROPIC_MODEL,
    MESSAGES,
    OPENAI_KEY,
    OPENAI_MODEL,
    Front,
    Mock,
    front,
    told,
)

PATH = "/v1/chat/completions"
ASKED = {"model": OPENAI_MODEL, "messages": MESSAGES}


class Echo(ThreadingHTTPServer):
    """A provider that keeps what it was sent, and answers bytes that no parser would write again."""

    ANSWER = (
        b'{ "choices":[ {"message": {"content":"caf\\u00e9 \xe2\x82\xac"} , "index":0.10} ],\t"unknown":1e2 }'
    )

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Echo
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(Echo.ANSWER)))
        self.end_headers()
        self.wfile.write(Echo.ANSWER)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def echo() -> Iterator[Echo]:
    server = Echo()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_request_in_the_providers_shape_passes_as_bytes(providers: tuple[Mock, Mock]) -> None:
    """Not a byte of body or answer is another one; the client's own token goes no further."""
    body = (
        b'{ "model" :"gpt-4o-mini", "messages":[{"role":"user","content":"\\u00fc \xe2\x82\xac"}],"x":1.0e0 }'
    )
    url, organization = "http://127.0.0.1:{}", {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"}
    with (
        echo() as server,
        front(Mock(url.format(server.server_port)), providers[1], **organization) as gateway,
    ):
        headers = {"content-type": "application/json", "authorization": "Bearer of-the-client"}
        answer = httpx.post(gateway.url + PATH, content=body, headers=headers)
        assert server.bodies == [body]
        assert answer.content == Echo.ANSWER
        assert server.headers[0]["authorization"] == f"Bearer {OPENAI_KEY}"
        assert server.headers[0]["openai-organization"] == "org-1"
        assert server.headers[0]["openai-project"] == "proj-1"
        assert answer.headers["x-muster-provider"] == "openai"


def test_only_the_model_is_put_in_where_none_is_named(providers: tuple[Mock, Mock]) -> None:
    """`auto`, or nothing, becomes the provider's own model; everything else stays."""
    with echo() as server, front(Mock(f"http://127.0.0.1:{server.server_port}"), providers[1]) as gateway:
        for model in ({}, {"model": "auto"}):
            gateway.post(PATH, {"messages": MESSAGES, "metadata": {"a": "b"}, **model})
        wanted = {"messages": MESSAGES, "metadata": {"a": "b"}, "model": OPENAI_MODEL}
        assert [json.loads(body) for body in server.bodies] == [wanted, wanted]


def test_the_official_sdk_is_answered(gateway: Front) -> None:
    """Whole, by the first provider, and with usage."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client:
        answer: Any = client.chat.completions.create(model=OPENAI_MODEL, messages=MESSAGES)
        models = {one.id for one in client.models.list()}
    assert "Hello" in answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0
    assert models == {"auto", OPENAI_MODEL, ANTHROPIC_MODEL}


@pytest.mark.parametrize("model", [OPENAI_MODEL, ANTHROPIC_MODEL])
def test_the_official_sdk_is_streamed_to(gateway: Front, model: str) -> None:
    """In pieces, whether the provider speaks OpenAI or is translated; the last piece says why it ended."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client:
        events: list[Any] = list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True))
    pieces = [event.choices[0].delta.content for event in events if event.choices[0].delta.content]
    assert len(pieces) > 2
    assert "".join(pieces).startswith("Hello from")
    assert events[-1].choices[0].finish_reason == "stop"
    assert {event.model for event in events} == {model}


@pytest.mark.parametrize("stream", [False, True])
def test_a_translated_provider_takes_over(gateway: Front, stream: bool) -> None:
    """The client sees OpenAI's shape, with the model that has really answered."""
    gateway.openai.told(fail=500)
    answer = gateway.post(PATH, {**ASKED, "stream": stream})
    assert answer.status_code == 200
    assert answer.headers["x-muster-provider"] == "anthropic"
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n")]
    assert json.loads(lines[0])["model"] == ANTHROPIC_MODEL
    assert (lines[-2] == "[DONE]") if stream else (len(lines) == 1)


@pytest.mark.parametrize("fault", [{"break_stream": 4}, {"error_in_stream": 4}])
@pytest.mark.parametrize("model", [OPENAI_MODEL, ANTHROPIC_MODEL])
def test_half_a_stream_is_no_whole_one(gateway: Front, model: str, fault: dict[str, int]) -> None:
    """A stream that breaks off is not repeated elsewhere: it ends with an error, and counts as a failure."""
    name, other = ("openai", gateway.anthropic) if model == OPENAI_MODEL else ("anthropic", gateway.openai)
    broken = gateway.openai if name == "openai" else gateway.anthropic
    broken.told(**fault)
    text = gateway.post(PATH, {"model": model, "messages": MESSAGES, "stream": True}).text
    assert "[DONE]" not in text
    assert '"error"' in text
    assert other.asked == 0
    assert gateway.circuit(name)["failure_count"] == 1


def test_a_stream_that_breaks_before_its_first_word_is_another_providers(gateway: Front) -> None:
    """As long as nothing was sent to the client, nobody notices."""
    gateway.anthropic.told(break_stream=2)
    text = gateway.post(PATH, {"model": ANTHROPIC_MODEL, "messages": MESSAGES, "stream": True}).text
    assert text.endswith("data: [DONE]\n\n")
    assert "error" not in text
    assert (gateway.anthropic.asked, gateway.openai.asked) == (1, 1)


def test_a_refusal_of_the_request_is_the_providers_own(gateway: Front) -> None:
    """400 comes back as the provider said it, and nobody else is asked."""
    gateway.openai.told(fail=400)
    answer = gateway.post(PATH, ASKED)
    assert answer.status_code == 400
    assert told(answer)["error"]["message"] == "told to fail"
    assert gateway.anthropic.asked == 0
    assert gateway.circuit("openai")["failure_count"] == 0


def test_when_all_fail_the_envelope_is_openais(gateway: Front) -> None:
    """502 with what was tried; the SDK raises what it knows."""
    gateway.openai.told(fail=500)
    gateway.anthropic.told(fail=529)
    error = told(gateway.post(PATH, ASKED))["error"]
    assert (error["type"], error["code"]) == ("server_error", "all_providers_failed")
    assert [one["error"] for one in error["tried"]] == ["provider", "overloaded"]
    with (
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.chat.completions.create(model="auto", messages=MESSAGES)


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({"model": OPENAI_MODEL}, "messages", 400),
        ({"messages": []}, "messages", 400),
        ({"messages": "hello"}, "messages", 400),
        ({"messages": [{"content": "no role"}]}, "messages[0]", 400),
        ({"messages": MESSAGES, "model": 4}, "model", 400),
        ({"messages": MESSAGES, "model": "gpt-5"}, None, 404),
        (["no object"], None, 400),
        ({**ASKED, "temperature": 2.5}, "temperature", 400),
        ({**ASKED, "temperature": "hot"}, "temperature", 400),
        ({**ASKED, "top_p": -1}, "top_p", 400),
        ({**ASKED, "max_tokens": 0}, "max_tokens", 400),
        ({**ASKED, "max_completion_tokens": 1.5}, "max_completion_tokens", 400),
        ({**ASKED, "n": True}, "n", 400),
    ],
)
def test_a_mistaken_request_is_refused_in_openais_words(
    gateway: Front, body: Any, param: str | None, status: int
) -> None:
    """The parameter is named, and no provider is asked."""
    gateway.calm()
    answer = gateway.post(PATH, body)
    assert answer.status_code == status
    assert told(answer)["error"]["type"] == "invalid_request_error"
    assert told(answer)["error"]["param"] == param
    assert gateway.openai.asked == gateway.anthropic.asked == 0


def test_what_cannot_be_translated_is_said(gateway: Front) -> None:
    """Tools go to OpenAI; where it fails, the other one is named with the reason why it was not asked."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert gateway.post(PATH, {**ASKED, "tools": tools}).headers["x-muster-provider"] == "openai"
    gateway.openai.told(fail=500)
    tried = told(gateway.post(PATH, {**ASKED, "tools": tools}))["error"]["tried"]
    assert [(one["provider"], one["error"]) for one in tried] == [
        ("openai", "provider"),
        ("anthropic", "cannot"),
    ]


CALLERS = """
[callers.web]
token = "token-of-web"
requests_per_minute = 60
burst = 2

[callers.mini]
token = "token-of-mini"
models = ["gpt-*"]
"""


def test_callers_have_tokens_rates_and_models(providers: tuple[Mock, Mock], tmp_path: Path) -> None:
    """Without a token 401, too fast 429 with Retry-After, a model that is not theirs 403; probes need none."""
    file = tmp_path / "callers.toml"
    file.write_text(CALLERS)
    with front(*providers, "--callers", str(file)) as gateway:
        assert gateway.ask().status_code == 401
        assert gateway.get("/providers").status_code == 401
        assert gateway.post(PATH, ASKED).json()["error"]["code"] == "invalid_api_key"
        for path in ("/health", "/health/live", "/health/ready"):
            assert gateway.get(path).status_code == 200
        web = {"headers": {"authorization": "Bearer token-of-web"}}
        answers = [gateway.post(PATH, ASKED, **web) for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "1"
        assert gateway.get("/providers", **web).status_code == 200
        mini = {"headers": {"authorization": "Bearer token-of-mini"}}
        assert gateway.post(PATH, {**ASKED, "model": ANTHROPIC_MODEL}, **mini).status_code == 403
        shown = {one["id"] for one in told(gateway.get("/v1/models", **mini))["data"]}
        assert shown == {"auto", OPENAI_MODEL}
        gateway.openai.told(fail=500)
        for path, body in (
            (PATH, ASKED),
            ("/chat/direct", {"message": "x"}),
            ("/chat/decorator", {"message": "x"}),
        ):
            failed = gateway.post(path, body, **mini)
            assert (failed.status_code, "anthropic" in failed.text) == (502, False)
        gateway.openai.calm()


def test_a_body_that_is_too_large_is_refused(providers: tuple[Mock, Mock]) -> None:
    """413, with or without its length told."""
    with front(*providers, "--max-body", "1000") as gateway:
        large = b'{"message": "' + b"x" * 2000 + b'"}'
        for path in ("/chat/direct", PATH):
            for content in (large, iter([large])):
                assert httpx.post(gateway.url + path, content=content).status_code == 413, path
