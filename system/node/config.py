"""What a node program can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from system.component import ComponentConfig
from system.config_values import Port


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig(ComponentConfig):
    """Whom to serve, with which engine."""

    port: Annotated[Port, "the port to listen on"] = 50052
    server: Annotated[str, "HOST:PORT of the balancer"] = "localhost:50051"
    advertise: Annotated[str, "HOST or HOST:PORT at which the balancer reaches this node"] = ""
    name: Annotated[str, "its id, the same after a restart (default: another at each start)"] = ""
    engine: Annotated[Literal["ollama", "openai", "mock"], "what runs models"] = "ollama"
    engine_url: Annotated[str, "where the engine answers (default: its usual place here)"] = ""
    server_ca: Annotated[Path | None, "CA (PEM) of the balancer's certificate: it is called with TLS"] = None
    cores: Annotated[int, "report so many cores instead of this machine's"] = 0
    ghz: Annotated[float, "report this frequency"] = 0.0
    ram: Annotated[float, "report so many GiB of memory"] = 0.0
    gpu: Annotated[str, "report this graphics card"] = ""
    gpu_memory: Annotated[float, "report so many GiB of memory on it"] = 0.0
