"""What the gateway adds to a call: the official SDK with and without it, in turns; and /chat/direct."""

import http.client
import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import openai

MESSAGES: Any = [{"role": "user", "content": "What is Python?"}]
AT_MOST = 2.0  # milliseconds


def latency(provider: str, gateway: str, model: str, calls: int) -> None:
    """One call at a time, by turns, so that a disturbance of the machine hits all alike."""
    direct, through = _sdk(provider, model), _sdk(gateway, model)
    plain = _chat_direct(gateway)
    taken: dict[str, list[float]] = {"direct": [], "passed": [], "chat": []}
    for number in range(calls + 50):
        for name, call in (("direct", direct), ("passed", through), ("chat", plain)):
            began = time.perf_counter()
            call()
            if number >= 50:
                taken[name].append((time.perf_counter() - began) * 1000)
    base = taken["direct"]
    _print("the SDK, calling the provider", base)
    _print("the SDK, calling the gateway's /v1/chat/completions", taken["passed"], base)
    _print("plain HTTP, calling /chat/direct (the SDK is in the gateway)", taken["chat"], base)


def _print(what: str, taken: list[float], base: list[float] | None = None) -> None:
    p50 = statistics.median(taken)
    p99 = statistics.quantiles(taken, n=100)[98]
    added = ""
    if base is not None:
        more = p50 - statistics.median(base)
        added = f"; added p50 {more:.2f} ms (at most {AT_MOST:g}): {'yes' if more <= AT_MOST else 'NO'}"
    print(f"{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms{added}")


def _sdk(url: str, model: str) -> Callable[[], None]:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-benchmark", max_retries=0)

    def call() -> None:
        client.chat.completions.create(model=model, messages=MESSAGES)

    return call


def _chat_direct(url: str) -> Callable[[], None]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = json.dumps({"message": "What is Python?"})

    def call() -> None:
        connection.request("POST", "/chat/direct", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200

    return call
