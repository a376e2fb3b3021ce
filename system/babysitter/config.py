"""What a babysitter can be told: its file's keys, which are its flags too."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from system.component import ComponentConfig
from system.config import AlsoFlag, InFile
from system.config_values import Duration, Parse, Port, Unfit
from system.errors import UsageError


def _read_arguments(value: Any) -> tuple[str, ...]:
    """A list as it is; text as a shell would split it."""
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            msg = f"arguments with their quotes closed ({error})"
            raise Unfit(msg) from None
    if not isinstance(value, list) or not all(isinstance(word, str | int | float) for word in value):
        msg = "a list of words"
        raise Unfit(msg)
    return tuple(str(word) for word in value)


Arguments = Annotated[tuple[str, ...], Parse(_read_arguments, "'WORDS'")]
Backend = Literal["command", "mock", "vllm", "infinilm", "infinilm-rust"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BabysitterConfig(ComponentConfig):
    """The backend's port is `port`; the babysitter's own HTTP is on the port after it."""

    port: Annotated[Port, "the backend's port; the babysitter's own is the next one"]
    name: Annotated[str, "the name to register; the backend gets NAME-server (default: type and port)"] = ""
    advertise_host: Annotated[str, "the address to register, when it is not --host"] = ""
    registry_url: Annotated[tuple[str, ...], "where to register", AlsoFlag("--registry")] = ()
    router_url: Annotated[str, "accepted for older files; unused"] = ""
    max_restarts: Annotated[
        int, "give up after so many restarts in a row", InFile("babysitter.max_restarts")
    ] = 10_000
    restart_delay: Annotated[
        Duration,
        "pause before a restart; doubles in a crash loop, up to 30 s",
        InFile("babysitter.restart_delay"),
    ] = 1.0
    heartbeat_interval: Annotated[
        Duration, "pause between two heartbeats", InFile("babysitter.heartbeat_interval")
    ] = 1.0
    ttl: Annotated[
        Duration | None,
        "the registry forgets a service that is silent for so long (default: four heartbeats)",
        InFile("babysitter.ttl"),
    ] = None
    start_timeout: Annotated[
        Duration, "restart a backend that is not ready after so long", InFile("babysitter.start_timeout")
    ] = 1800.0
    stop_timeout: Annotated[
        Duration, "how long a backend may take to stop before it is killed", InFile("babysitter.stop_timeout")
    ] = 5.0

    service_type: Annotated[Backend, "what kind of backend to run", InFile("backend.type")] = "command"
    command: Annotated[str, "command: the program", InFile("backend.command")] = ""
    args: Annotated[
        Arguments, "its arguments; {host}, {port} and {name} are filled in", InFile("backend.args")
    ] = ()
    work_dir: Annotated[Path | None, "where to run it", InFile("backend.work_dir")] = None
    env: Annotated[Mapping[str, Any], "variables to set for it", InFile("backend.env")] = field(
        default_factory=dict
    )
    models: Annotated[tuple[str, ...], "mock: the models to offer", InFile("backend.models")] = ()
    model: Annotated[str, "vllm: the model", InFile("backend.model")] = ""
    model_path: Annotated[
        str, "infinilm: the model's folder", InFile("backend.model_path"), AlsoFlag("--path")
    ] = ""
    backend_config: Annotated[str, "infinilm-rust: its own file", InFile("backend.config_file")] = ""
    metadata: Annotated[
        Mapping[str, Any], "added to what the registry is told about the backend", InFile("metadata")
    ] = field(default_factory=dict)

    @property
    def service_name(self) -> str:
        return self.name or f"{self.service_type}-{self.port}"

    @property
    def backend_name(self) -> str:
        return f"{self.service_name}-server"

    @property
    def time_to_live(self) -> float:
        return self.ttl or 4 * self.heartbeat_interval

    def check(self) -> None:
        """Raise UsageError for what no single value shows."""
        mistakes: list[str] = []
        if not 0 < self.port < 65535:
            mistakes.append(
                f"--port {self.port}: the backend's port, from 1 to 65534: the next one is our own"
            )
        if self.time_to_live < 2 * self.heartbeat_interval:
            mistakes.append(
                "--ttl must be at least twice --heartbeat-interval, or one late heartbeat ends a lease"
            )
        mistakes += [
            f"--registry-url {url}: must be a URL such as http://10.0.0.5:18000"
            for url in self.registry_url
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname
        ]
        if mistakes:
            raise UsageError(mistakes)
