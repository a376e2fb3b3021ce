"""An engine without a model: it answers at once, or as its URL says, and is told apart by what it says.

`--engine-url "mock:?delay=0.2&fails=1&text=Paris&lacks=llama3.1:8b"`: seconds until it answers, whether it
fails, what it says (`{model}` and `{prompt}` are filled in), models that it cannot fetch.
"""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from system.balancer.models import Model, catalogue_entry
from system.node.engines.base import EngineError

TEXT = "{model} says: {prompt}"


class Mock:
    """Answers by itself."""

    can_install = True

    def __init__(self, url: str) -> None:
        told = {key: values[-1] for key, values in parse_qs(urlsplit(url).query).items()}
        self._delay = float(told.get("delay", "0"))
        self._fails = told.get("fails", "0") not in ("0", "")
        self._text = told.get("text", TEXT)
        self._lacks = told.get("lacks", "").split(",")
        self._installed = [catalogue_entry(name) for name in told.get("installed", "").split(",") if name]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def installed(self) -> Sequence[Model]:
        return tuple(self._installed)

    async def install(self, model: str, tell: Callable[[str], None]) -> None:
        tell(f"pulling {model}")
        if model in self._lacks:
            msg = f"pull model manifest: file does not exist ({model})"
            raise EngineError(msg)
        self._installed.append(catalogue_entry(model))

    async def answer(self, model: str, prompt: str, images: Sequence[str]) -> str:
        await asyncio.sleep(self._delay)
        if self._fails:
            msg = "the engine was told to fail"
            raise EngineError(msg)
        return self._text.replace("{model}", model).replace("{prompt}", prompt)
