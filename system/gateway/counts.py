"""What a process has done so far, for metrics. Plain numbers; whoever reports reads them."""

from collections import Counter
from dataclasses import dataclass, field

from system.gateway.errors import ProviderError
from system.gateway.values import Usage


@dataclass(slots=True)
class ProviderCounts:
    """One provider's."""

    requests: int = 0
    successes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def succeeded(self, seconds: float, usage: Usage | None = None) -> None:
        self.successes += 1
        self.seconds += seconds
        if usage is not None:
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens

    def failed(self, error: ProviderError, seconds: float) -> None:
        self.errors[error.word] += 1
        self.seconds += seconds


class Counts:
    """All of them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.providers = {name: ProviderCounts() for name in names}
        self.requests = 0
        self.failovers = 0
        self.exhausted = 0
        """Requests that no provider has answered."""
