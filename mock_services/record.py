"""What a mock was asked since somebody began to count: how often, how many at once, how it answered."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol


class Answered(Protocol):
    """An exchange that knows, once it is over, how it was answered."""

    status: int


@dataclass(slots=True)
class Record:
    """Counts requests for work; `restart` begins anew, with those that are still under way."""

    open: int = 0
    requests: int = 0
    at_once: int = 0
    """The most that were under way at the same time."""
    answers: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def one(self, exchange: Answered) -> Iterator[None]:
        """A request, while it is under way."""
        self.open += 1
        self.requests += 1
        self.at_once = max(self.at_once, self.open)
        try:
            yield
        finally:
            self.open -= 1
            self.answers[str(exchange.status)] += 1

    def restart(self) -> None:
        """Count from now on."""
        self.requests, self.at_once = 0, self.open
        self.answers.clear()

    def shown(self) -> dict[str, Any]:
        """A JSON value; `answers` holds statuses, 499 for a client that left."""
        return {
            "requests": self.requests,
            "at_once": self.at_once,
            "open": self.open,
            "answers": dict(self.answers),
        }
