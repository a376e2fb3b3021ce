"""Keys, passwords and tokens never leave the gateway, whatever goes wrong: canaries are planted and searched."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from system.gateway.hiding import HIDDEN, hide, remember
from tests.system.gateway.front import ANTHROPIC_KEY, MESSAGES, OPENAI_KEY, Front, Mock, front

REDIS_PASSWORD = "canary-of-redis-0123"
CALLER = "canary-of-a-caller-0123"
CANARIES = (OPENAI_KEY, ANTHROPIC_KEY, REDIS_PASSWORD, CALLER)


class _Gossip(BaseHTTPRequestHandler):
    """A provider that repeats every header it got in its error: in the message, in headers, in a stream."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        said = json.dumps(dict(self.headers))
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"error": {"message": f"wrong key: {said}", "type": said, "code": said}}).encode()
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("content-type", "application/json")
        self.send_header("x-said", said)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def gossip() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gossip)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def everything_said(gateway: Front, headers: dict[str, str]) -> Iterator[str]:
    """Every answer the gateway gives while all goes wrong, headers included."""
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=15) as client:
        asked: list[httpx.Response] = []
        for body in ({"message": "x"}, {"message": ""}, {"message": "x", "provider": "openai"}):
            asked += [client.post(path, json=body) for path in ("/chat/direct", "/chat/decorator")]
        for stream in (False, True):
            for model in ("auto", "unknown"):
                question = {"messages": MESSAGES, "stream": stream, "model": model}
                asked.append(client.post("/v1/chat/completions", json=question))
        for path in ("/", "/health", "/health/ready", "/providers", "/metrics", "/metrics/prometheus"):
            asked.append(client.get(path))
        asked += [client.get("/openapi.json"), client.get("/v1/models"), client.get("/nowhere")]
        asked.append(httpx.get(f"{gateway.url}/providers", headers={"authorization": "Bearer wrong"}))
        for answer in asked:
            yield answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("status", "log_format"), [("401", "text"), ("400", "json"), ("500", "text"), ("429", "json")]
)
def test_no_canary_is_ever_seen(tmp_path: Path, status: str, log_format: str) -> None:
    """Not in an answer, a header, a metric or a line of the log, at the most talkative level."""
    callers = tmp_path / "callers.toml"
    callers.write_text(f'[callers.one]\ntoken = "{CALLER}"\n')
    headers = {"authorization": f"Bearer {CALLER}"}
    with gossip() as url:
        options = ("--log-level", "debug", "--log-format", log_format, "--callers", str(callers))
        provider = Mock(f"{url}/{status}")
        redis = f"redis://:{REDIS_PASSWORD}@127.0.0.1:9/0"
        with front(provider, provider, *options, MUSTER_GATEWAY_REDIS=redis) as gateway:
            said = list(everything_said(gateway, headers))
            gateway.program.stop()
    assert any("wrong key" in one or HIDDEN in one for one in said), "the provider's words were not passed on"
    said.append(gateway.program.output)
    found = {(canary, number) for canary in CANARIES for number, one in enumerate(said) if canary in one}
    assert not found, [said[number] for _, number in found]


def test_what_is_remembered_is_hidden() -> None:
    """The longest first, so that no end of one is left; short words are not torn out of texts."""
    remember("canary-abc", "canary-abc-and-more", "cat", None, "")
    assert hide("a canary-abc-and-more, a canary-abc, a cat") == f"a {HIDDEN}, a {HIDDEN}, a cat"
