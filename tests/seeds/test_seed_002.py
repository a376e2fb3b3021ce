"""What seed 002 prints: the command lines are typed as they stand, the answers have the shapes it shows.

A balancer and two nodes run at an address of their own; curl takes `localhost:5001` there.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system.testing import Running, running

ADDRESS = f"127.79.{os.getpid() % 200 + 1}.80"  # parallel runs have one each

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("curl"), reason="no curl (apt-get install curl)"),
]


class Lab:
    """A balancer with two nodes, and a terminal."""

    def __init__(self, balancer: Running, home: Path) -> None:
        self.balancer = balancer
        self._env = {**os.environ, "CURL_HOME": str(home)}
        (home / ".curlrc").write_text(f'connect-to = "localhost:5001:{ADDRESS}:5001"\nsilent\n')

    def json(self, line: str) -> Any:
        """What a command line prints."""
        done = subprocess.run(
            ["bash", "-c", line], env=self._env, capture_output=True, text=True, timeout=30, check=True
        )
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """85 points and 41: the seed's `llama3.2:3b` where no larger model exists, and its `llama3.2:1b`."""
    home = tmp_path_factory.mktemp("lab")
    start = ["system", "balancer", "--host", ADDRESS, "--database", str(home / "db")]
    start += ["--model", "llama3.2:1b=1.3", "--model", "llama3.2:3b=2.0"]
    node = ("system", "node", "--server", f"{ADDRESS}:50051", "--port", "0", "--engine", "mock")
    strong = ("--cores", "8", "--ghz", "3.5", "--ram", "17", "--gpu", "NVIDIA GeForce RTX 3060")
    weak = ("--cores", "4", "--ghz", "2.5", "--ram", "8", "--gpu", "Intel UHD")
    with (
        running(*start) as balancer,
        running(*node, "--host", f"{ADDRESS[:-2]}81", *strong) as first,
        running(*node, "--host", f"{ADDRESS[:-2]}82", *weak) as second,
    ):
        for one in (first, second):
            one.wait_for_line("✅ Ready to receive AI requests from smart server")
        yield Lab(balancer, home)


def test_the_terminal_shows_registrations(lab: Lab) -> None:
    """Id, score, model and count, as under "Server Terminal Output"."""
    found = {line.partition("balancer: ")[2] for line in lab.balancer.lines}
    assert {
        "Waiting for clients to connect...", "   Performance Score: 85.5", "   Assigned Model: llama3.2:3b",
        "   Total Clients: 1", "   Performance Score: 41.0", "   Assigned Model: llama3.2:1b", "   Total Clients: 2",
    } <= found  # fmt: skip
    assert sum(line.startswith("✅ Client registered: client-") for line in found) == 2


def test_health_check(lab: Lab) -> None:
    """`curl http://localhost:5001/health`, and the four fields that are shown."""
    answer = lab.json("curl http://localhost:5001/health")
    shown = {
        "healthy": True, "connected_clients": 2, "active_models": 2,
        "message": "Server healthy. 2 clients, 2 active models.",
    }  # fmt: skip
    assert shown.items() <= answer.items()


def test_status_check(lab: Lab) -> None:
    """`curl http://localhost:5001/status`, and the fields that are shown."""
    answer = lab.json("curl http://localhost:5001/status")
    shown = {
        "total_clients": 2, "active_clients": 2, "available_models": ["llama3.2:1b", "llama3.2:3b"], "healthy": True,
    }  # fmt: skip
    assert shown.items() <= answer.items()


def test_every_endpoint_that_is_listed_answers(lab: Lab) -> None:
    """Core, chat and documents: what one makes, the next finds, renames, deletes."""
    at = "http://localhost:5001"
    post = "curl -X POST -H 'Content-Type: application/json' -d"
    assert lab.json(f"curl {at}/")["status"] == "running"
    asked = lab.json(f"""{post} '{{"prompt": "What is Python?"}}' {at}/query""")
    assert asked["success"]
    assert "PROCESSING_DETAILS_START" in asked["response"]
    assert lab.json(f"curl -X POST {at}/reassign")["success"]
    chat = lab.json(f"""{post} '{{"title": "A chat"}}' {at}/chat/sessions""")["session_id"]
    listed = lab.json(f"curl {at}/chat/sessions")["sessions"]
    assert {one["session_id"] for one in listed} == {chat, asked["session_id"]}
    renamed = """curl -X PUT -H 'Content-Type: application/json' -d '{"title": "Other"}'"""
    assert lab.json(f"{renamed} {at}/chat/sessions/{chat}/title")["message"] == "Title updated"
    assert lab.json(f"curl {at}/chat/sessions/{chat}")["session"]["title"] == "Other"
    assert lab.json(f"curl -X DELETE {at}/chat/sessions/{chat}")["message"] == "Session deleted"
    added = lab.json(f"""{post} '{{"title": "Wheat", "content": "Grow wheat."}}' {at}/rag/documents""")
    found = lab.json(f"""{post} '{{"query": "wheat"}}' {at}/rag/search""")
    assert [(one["doc_id"], one["title"]) for one in found["documents"]] == [(added["doc_id"], "Wheat")]
    assert found["scores"] == [0.9]
    assert lab.json(f"curl -X DELETE {at}/rag/documents/{added['doc_id']}")["message"] == "Document deleted"


def test_typed_at_the_server_itself(tmp_path: Path) -> None:
    """Prompts, `reassign`, `stats` and `quit`, as under "Interactive Server Mode"."""
    start = [sys.executable, "-m", "system", "balancer", "--host", ADDRESS, "--port", "0", "--http-port", "0"]
    done = subprocess.run(
        [*start, "--database", str(tmp_path / "db"), "--console"], input="a prompt\nreassign\nstats\nquit\n",
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    for said in (
        "❌ No clients connected. Please connect",
        "❌ No clients connected\n",
        "no node is connected",
    ):
        assert said in done.stdout
