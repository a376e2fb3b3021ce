"""How backends are started: command lines and environments, from configurations."""

import sys
from typing import Any

import pytest

from system.babysitter.backends import BACKENDS, command_line, environment
from system.babysitter.config import BabysitterConfig, Backend
from system.errors import UsageError


def config(**values: Any) -> BabysitterConfig:
    return BabysitterConfig(**{"host": "10.0.0.5", "port": 8100, "name": "babysitter-a", **values})


LINES: list[tuple[BabysitterConfig, list[str]]] = [
    (
        config(command="serve", args=("--bind", "{host}:{port}", "a b")),
        ["serve", "--bind", "10.0.0.5:8100", "a b"],
    ),
    (config(command="serve", args=('{"model": "x"}', "{name}")), ["serve", '{"model": "x"}', "babysitter-a"]),
    (
        config(service_type="mock", models=("m1", "m2")),
        [
            *(sys.executable, "-m", "mock_services", "openai", "--name", "babysitter-a-server"),
            *("--host", "10.0.0.5", "--port", "8100", "--models", "m1,m2"),
        ],
    ),
    (
        config(service_type="vllm", model="org/m", args=("--dtype", "auto")),
        ["vllm", "serve", "org/m", "--host", "10.0.0.5", "--port", "8100", "--dtype", "auto"],
    ),
    (
        config(service_type="infinilm", model_path="/m", args=("--dev", "nvidia")),
        [
            sys.executable,
            "scripts/launch_server.py",
            "--model-path",
            "/m",
            "--port",
            "8100",
            "--dev",
            "nvidia",
        ],
    ),
    (
        config(service_type="infinilm-rust", backend_config="s.toml"),
        ["cargo", "service", "s.toml", "-p", "8100"],
    ),
]


@pytest.mark.parametrize(("given", "line"), LINES)
def test_each_type_has_its_command_line(given: BabysitterConfig, line: list[str]) -> None:
    """Words stay whole, placeholders are filled in, other braces are left alone."""
    assert command_line(given) == line


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_type_without_what_it_needs_is_refused(kind: Backend) -> None:
    """The message names the key of the file and the flag."""
    with pytest.raises(UsageError, match=rf"a backend of type {kind} needs backend\.\w+ \(--[\w-]+\)"):
        command_line(config(service_type=kind))


def test_the_environment_is_ours_with_additions() -> None:
    """Variables are inherited, set, and filled in; commands beside this Python are found last."""
    made = environment(config(env={"BIND": "{host}:{port}", "N": 3}), {"PATH": "/bin", "HOME": "/root"})

    assert made["PATH"].startswith("/bin:")
    assert made["PATH"].endswith("/bin")
    assert (made["HOME"], made["BIND"], made["N"]) == ("/root", "10.0.0.5:8100", "3")
    assert made["PYTHONUNBUFFERED"] == "1"
