"""A worker as its author writes it: an object whose decorator collects handlers."""

from collections.abc import Callable
from typing import Any, TypeVar

from system.worker.capabilities import Capabilities, Capability

F = TypeVar("F", bound=Callable[..., Any])


class Worker:
    """Collects handlers; `python -m system worker MODULE:ATTR` serves them."""

    def __init__(self, name: str = "muster-worker", version: str = "1") -> None:
        self.name = name
        self.version = version
        self.capabilities = Capabilities()

    def capability(
        self, *, stream: bool = False, inline: bool = False, **attributes: Any
    ) -> Callable[[F], F]:
        """Register a handler under these attributes; `type` is the name that clients call it by.

        A plain function runs in a pool of threads, an async one on the loop, a generator streams. `inline`
        runs a plain function on the loop as well: right for one that takes microseconds, wrong for any other.
        """

        def register(function: F) -> F:
            self.capabilities.add(Capability.of(function, attributes, stream=stream, inline=inline))
            return function

        return register
