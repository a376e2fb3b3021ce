"""The program: ready line, health, reflection, drain on SIGTERM, and mistakes in one line."""

import signal
import threading
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from system.client import Client
from system.testing import running
from tests.system.worker.served import ADDRESS

SLOW = """
import time
import numpy as np
from system.worker import Worker

worker = Worker()
number = 7

@worker.capability(type="slow")
def slow(x: np.ndarray) -> dict:
    print("working", flush=True)
    time.sleep(0.5)
    return {"x": x}

def make() -> Worker:
    return worker
"""
HERE = ("--host", ADDRESS, "--port", "0")


@pytest.fixture
def app(tmp_path: Path) -> dict[str, str]:
    """A module `slow_app` that can be imported."""
    (tmp_path / "slow_app.py").write_text(SLOW, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("name", ["slow_app:worker", "slow_app:make"])
def test_a_running_call_is_finished_after_sigterm(app: dict[str, str], name: str) -> None:
    """The answer arrives, then the program ends with 0; ATTR may be a function that makes the worker."""
    with running("system", "worker", name, *HERE, env=app) as program:
        answers: list[dict[str, list[int]]] = []
        with Client(program.url.removeprefix("grpc://"), timeout=5) as client:
            calling = threading.Thread(target=lambda: answers.append(client.infer("slow", {"x": [1]})))
            calling.start()
            program.wait_for_line("working")
            program.signal(signal.SIGTERM)
            calling.join(5)
        assert answers == [{"x": [1]}]
        assert program.wait() == 0


def test_health_and_reflection_answer(app: dict[str, str]) -> None:
    """What probes and grpcurl ask for."""
    with (
        running("system", "worker", "slow_app:worker", *HERE, env=app) as program,
        grpc.insecure_channel(program.url.removeprefix("grpc://")) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "inference.GRPCInferenceService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        file = database.FindFileContainingSymbol("inference.ModelInferRequest")
        assert [service.name for service in file.service] == ["GRPCInferenceService"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere:worker"], "nowhere:worker: cannot import nowhere: ModuleNotFoundError"),
        (["slow_app"], "'slow_app' must be MODULE:ATTR"),
        (["slow_app:wroker"], "has no worker called 'wroker'; did you mean worker?"),
        (["slow_app:number"], "has no worker called 'number'; it has worker"),
        (["slow_app:worker", "--threads", "0"], "--threads must be 1 or more, not 0"),
        (["slow_app:worker", "--registry", "server1:8080"], "must be a URL such as http://server1:8080"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(app: dict[str, str], arguments: list[str], says: str) -> None:
    """Where, what, what to do; no trace."""
    with running("system", "worker", *arguments, *HERE, env=app, ready="") as program:
        assert program.wait() == 2
        assert len(program.lines) == 1
        assert says in program.output


def test_a_token_is_asked_for(app: dict[str, str], tmp_path: Path) -> None:
    """Calls without it are refused, health is not."""
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n", encoding="utf-8")
    with running(
        "system", "worker", "slow_app:worker", *HERE, "--token-file", str(tokens), env=app
    ) as program:
        endpoint = program.url.removeprefix("grpc://")
        with Client(endpoint, timeout=5) as stranger, Client(endpoint, timeout=5, token="secret") as friend:
            assert (stranger.is_alive(), friend.is_alive()) == (False, True)
