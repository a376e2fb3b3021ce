"""What every engine can do."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from system.balancer.models import Model


class EngineError(Exception):
    """The engine cannot do it, or is not there; says why and what to do."""


class Engine(Protocol):
    """Runs models. Opened and closed as a context manager."""

    can_install: bool
    """Whether a missing model can be fetched."""

    async def installed(self) -> Sequence[Model]:
        """The models that are there; raises EngineError."""
        ...

    async def install(self, model: str, tell: Callable[[str], None]) -> None:
        """Fetch a model, telling how far it is; raises EngineError."""
        ...

    async def answer(self, model: str, prompt: str, images: Sequence[str]) -> str:
        """The model's text; raises EngineError. `images` are base64."""
        ...


Opened = Callable[[str], AbstractAsyncContextManager[Engine]]
"""An engine at a URL."""


def plain_base64(image: str) -> str:
    """An image without the `data:...,` that browsers put before it."""
    return image.partition(",")[2] if image.startswith("data:") else image
