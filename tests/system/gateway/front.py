"""A gateway that runs, with two mock providers behind it that do wrong what they are told to."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from system.testing import Running, running

OPENAI_KEY = "sk-canary-openai-0123456789abcdef"
ANTHROPIC_KEY = "sk-ant-canary-0123456789abcdef"
QUESTION = {"message": "What is Python?"}
MESSAGES: Any = [{"role": "user", "content": "What is Python?"}]
OPENAI_MODEL, ANTHROPIC_MODEL = "gpt-4o-mini", "claude-3-5-haiku-20241022"

# What the surroundings of the tests may have set and the gateway would heed.
FOREIGN = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_AUTH_TOKEN",
)


READY = r"ready on (\S+)"
START_WITHIN = 60.0  # seconds: two SDKs are imported, perhaps on a busy machine
CLIENT = httpx.Client(timeout=15, trust_env=False)  # making one takes longer than most tests


@dataclass(frozen=True, slots=True)
class Mock:
    """A provider."""

    url: str

    def told(self, **faults: Any) -> None:
        """Do this wrong from now on."""
        CLIENT.post(f"{self.url}/control", json=faults).raise_for_status()

    def calm(self) -> None:
        CLIENT.delete(f"{self.url}/control").raise_for_status()

    @property
    def record(self) -> dict[str, Any]:
        """What it was asked since it was told something."""
        shown: dict[str, Any] = CLIENT.get(f"{self.url}/record").json()
        return shown

    @property
    def asked(self) -> int:
        return int(self.record["requests"])


@dataclass(frozen=True, slots=True)
class Front:
    """The gateway."""

    program: Running
    openai: Mock
    anthropic: Mock

    @property
    def url(self) -> str:
        return self.program.url

    def get(self, path: str, **how: Any) -> httpx.Response:
        return CLIENT.get(self.url + path, **how)

    def post(self, path: str, body: Any = None, **how: Any) -> httpx.Response:
        return CLIENT.post(self.url + path, json=body, **how)

    def ask(self, path: str = "/chat/direct", **more: Any) -> httpx.Response:
        return self.post(path, {**QUESTION, **more})

    def circuit(self, provider: str) -> dict[str, Any]:
        shown = self.get("/providers").json()["providers"]
        return next(one for one in shown if one["name"] == provider)

    def calm(self) -> None:
        """Nothing is wrong any more, and nobody remembers that anything was."""
        self.openai.calm()
        self.anthropic.calm()
        for provider in ("openai", "anthropic"):
            self.post(f"/providers/{provider}/reset").raise_for_status()


def environment(openai: str, anthropic: str, **more: str) -> dict[str, str]:
    """What a gateway is told about these providers."""
    return {
        "OPENAI_API_KEY": OPENAI_KEY,
        "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
        "OPENAI_BASE_URL": f"{openai}/v1",
        "ANTHROPIC_BASE_URL": anthropic,
        "MUSTER_GATEWAY_REDIS": "none",
        **more,
    }


def without_keys() -> dict[str, str]:
    """The environment as a user has it who has set nothing."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


@contextmanager
def mocks() -> Iterator[tuple[Mock, Mock]]:
    """Both providers, each as a program of its own."""
    with ExitStack() as stack:
        start = stack.enter_context
        openai = start(
            running("mock_services", "openai", "--port", "0", "--host", "127.0.0.1", "--models", OPENAI_MODEL)
        )
        anthropic = start(running("mock_services", "anthropic", "--port", "0", "--host", "127.0.0.1"))
        yield Mock(openai.url), Mock(anthropic.url)


@contextmanager
def front(openai: Mock, anthropic: Mock, *options: str, **variables: str) -> Iterator[Front]:
    """A gateway of one process, unless the options say otherwise."""
    env = environment(openai.url, anthropic.url, **variables)
    command = ("system", "gateway", "--port", "0", "--host", "127.0.0.1", "--timeout", "2s", *options)
    with running(*command, env=env, ready="") as program:
        program.url = program.wait_for_line(READY, START_WITHIN)[1]
        yield Front(program, openai, anthropic)


def told(response: httpx.Response) -> dict[str, Any]:
    """A JSON answer."""
    document: dict[str, Any] = json.loads(response.text)
    return document
