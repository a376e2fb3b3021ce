"""`python -m mock_services anthropic`: a provider with Anthropic's API that fails on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from mock_services.faults import Faults
from system.component import ComponentConfig, Program, Serving
from system.config_values import Duration, Port


@dataclass(frozen=True, kw_only=True)
class AnthropicConfig(ComponentConfig, Faults):
    """Who the mock is, what it offers, and what it does wrong from the start."""

    name: Annotated[str, "who the mock says it is"] = "anthropic"
    port: Annotated[Port, "the port to listen on"] = 8300
    models: Annotated[tuple[str, ...], "the models it has"] = ("claude-3-5-haiku-20241022",)
    api_key: Annotated[str, "the only key that it accepts; empty: any"] = ""
    chunk: Annotated[Literal["word", "character"], "what a chunk of a stream holds"] = "word"
    interval: Annotated[Duration, "the time between two chunks"] = 0.002
    start_delay: Annotated[Duration, "wait so long before listening"] = 0.0
    drain: Annotated[Duration, "how long open requests may take after SIGTERM"] = 2.0


@asynccontextmanager
async def serve(config: AnthropicConfig) -> AsyncIterator[Serving]:
    from mock_services.anthropic_app import AnthropicMock
    from system.http_server import http_server

    await asyncio.sleep(config.start_delay)
    async with http_server(AnthropicMock(config), config) as serving:
        yield serving


PROGRAM = Program(
    name="anthropic",
    about="A mock of a provider that speaks Anthropic's API.",
    config=AnthropicConfig,
    serve=serve,
)
