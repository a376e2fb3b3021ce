"""The gateway's examples: run as a user runs them, with mock providers."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.gateway.front import Mock, environment, mocks, without_keys

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "gateway"


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[Mock, Mock]]:
    with mocks() as both:
        yield both


def run(name: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    env = {**without_keys(), "PYTHONPATH": str(FOLDER.parents[1]), **env}
    return subprocess.run(
        [sys.executable, name], cwd=FOLDER, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_direct_client(providers: tuple[Mock, Mock]) -> None:
    """Asks whole, in pieces and three at once, and shows how the providers stand."""
    done = run("direct.py", environment(providers[0].url, providers[1].url))
    hello = "Hello from mock-service (model: gpt-4o-mini)"
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"openai (gpt-4o-mini): {hello}",
        hello,
        *(f"{topic}: {hello}" for topic in ("lists", "tuples", "sets")),
        "openai: CLOSED, 5 answered",
        "anthropic: CLOSED, 0 answered",
    ]


def test_the_decorator(providers: tuple[Mock, Mock]) -> None:
    """Text, an answer with its tokens, pieces, and coroutines; the second provider stands in for the first."""
    try:
        providers[0].told(fail=500)
        done = run("decorated.py", environment(providers[0].url, providers[1].url))
    finally:
        providers[0].calm()
    hello = "Hello from anthropic (model: claude-3-5-haiku-20241022)"
    lines = [line for line in done.stdout.splitlines() if line]
    assert done.returncode == 0, done.stderr
    assert lines[0] == f"explained: {hello}"
    assert lines[1].startswith("answered by anthropic, ")
    assert lines[2].replace("|", "").replace(" ", "") == f"told:{hello}".replace(" ", "")
    assert lines[3:] == [f"translated: {hello}"] * 2


def test_without_keys_one_line_says_what_to_set() -> None:
    """An example without a key is no riddle."""
    done = run("direct.py", {})
    assert done.returncode == 1
    assert "set OPENAI_API_KEY or ANTHROPIC_API_KEY" in done.stderr.splitlines()[-1]
