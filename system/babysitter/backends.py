"""How each type of backend is started: a table of command lines. Pure."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from system.babysitter.config import BabysitterConfig
from system.errors import UsageError

Argv = list[str]


def _needed(config: BabysitterConfig, key: str) -> str:
    value = str(getattr(config, key) or "")
    if not value:
        file_key = "config_file" if key == "backend_config" else key
        raise UsageError(
            [f"a backend of type {config.service_type} needs backend.{file_key} (--{_flag(key)})"]
        )
    return value


def _flag(key: str) -> str:
    return key.replace("_", "-")


def _command(config: BabysitterConfig) -> Argv:
    return [_needed(config, "command"), *config.args]


def _mock(config: BabysitterConfig) -> Argv:
    if not config.models:
        raise UsageError(["a backend of type mock needs backend.models (--models)"])
    who = [
        "--name",
        "{name}-server",
        "--host",
        "{host}",
        "--port",
        "{port}",
        "--models",
        ",".join(config.models),
    ]
    return [sys.executable, "-m", "mock_services", "openai", *who, *config.args]


def _vllm(config: BabysitterConfig) -> Argv:
    return ["vllm", "serve", _needed(config, "model"), "--host", "{host}", "--port", "{port}", *config.args]


def _infinilm(config: BabysitterConfig) -> Argv:
    model_path = ["--model-path", _needed(config, "model_path")]
    return [sys.executable, "scripts/launch_server.py", *model_path, "--port", "{port}", *config.args]


def _infinilm_rust(config: BabysitterConfig) -> Argv:
    return ["cargo", "service", _needed(config, "backend_config"), "-p", "{port}", *config.args]


BACKENDS: dict[str, Callable[[BabysitterConfig], Argv]] = {
    "command": _command,
    "mock": _mock,
    "vllm": _vllm,
    "infinilm": _infinilm,
    "infinilm-rust": _infinilm_rust,
}


def command_line(config: BabysitterConfig) -> Argv:
    """The backend's command line; `{host}`, `{port}` and `{name}` are replaced wherever they occur."""
    return [_filled(word, config) for word in BACKENDS[config.service_type](config)]


def environment(config: BabysitterConfig, inherited: Mapping[str, str]) -> dict[str, str]:
    """The backend's environment: ours, plus what is configured.

    Commands installed beside this Python are found without an activated environment, and Python backends
    write their lines at once.
    """
    path = os.pathsep.join(filter(None, (inherited.get("PATH"), str(Path(sys.executable).parent))))
    given = {key: _filled(str(value), config) for key, value in config.env.items()}
    return {"PYTHONUNBUFFERED": "1", **inherited, "PATH": path, **given}


def _filled(word: str, config: BabysitterConfig) -> str:
    values = {"{host}": config.host, "{port}": str(config.port), "{name}": config.service_name}
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word
