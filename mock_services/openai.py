"""`python -m mock_services openai`: a model backend that says who it is and fails on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from mock_services.faults import Faults
from system.component import ComponentConfig, Program, Serving
from system.config_values import Duration, Port


@dataclass(frozen=True, kw_only=True)
class OpenAIConfig(ComponentConfig, Faults):
    """Who the mock is, what it offers, and what it does wrong from the start."""

    name: Annotated[str, "who the mock says it is"] = "mock-service"
    port: Annotated[Port, "the port to listen on"] = 8100
    models: Annotated[tuple[str, ...], "the models it has"] = ("model-1",)
    chunk: Annotated[Literal["word", "character"], "what a chunk of a stream holds"] = "word"
    interval: Annotated[Duration, "the time between two chunks"] = 0.002
    start_delay: Annotated[Duration, "wait so long before listening"] = 0.0
    drain: Annotated[Duration, "how long open requests may take after SIGTERM"] = 2.0


@asynccontextmanager
async def serve(config: OpenAIConfig) -> AsyncIterator[Serving]:
    from mock_services.openai_app import OpenAIMock
    from system.http_server import http_server

    await asyncio.sleep(config.start_delay)
    async with http_server(OpenAIMock(config), config) as serving:
        yield serving


PROGRAM = Program(
    name="openai", about="A mock of an OpenAI-compatible model backend.", config=OpenAIConfig, serve=serve
)
