"""What every provider is: settings, a question answered whole, a question answered piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from system.gateway.transport import LineTransport
from system.gateway.values import Answer, Chat, Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Who is asked, and how."""

    kind: str
    model: str
    name: str = ""
    priority: int = 1
    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    timeout: float = 30.0
    """Seconds a whole answer may take, and a stream may pause."""
    retries: int = 0
    """How often the same provider is asked again before another one is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Where a request that has a provider's own shape is sent as it is."""

    url: str
    start: bytes
    """The request line."""
    headers: bytes = field(repr=False)
    """Complete lines, the key among them."""

    @staticmethod
    def to(url: str, headers: Mapping[str, str | None]) -> "Wire":
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        return Wire(url=url, start=f"POST {target} HTTP/1.1\r\n".encode(), headers=lines.encode())


class Provider(ABC):
    """One provider. Every failure is raised as a ProviderError that says whether another may be tried."""

    def __init__(self, settings: ProviderSettings, transport: LineTransport) -> None:
        self.settings = settings
        self.transport = transport
        self.name = settings.name
        self.model = settings.model
        self.priority = settings.priority
        self.wire: Wire | None = None
        """Where OpenAI's bytes are understood as they are; None where they must be translated."""

    def cannot(self, chat: Chat) -> str:
        """What of this question the provider has no words for; empty if nothing."""
        return ""

    @abstractmethod
    async def complete(self, chat: Chat) -> Answer:
        """The whole answer."""

    @abstractmethod
    def stream(self, chat: Chat) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes; the last chunks have a finish reason, and usage."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""
