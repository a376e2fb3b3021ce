"""Engines against servers that speak their protocol, and keeping a model ready."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from system.balancer.models import Model
from system.component import ComponentConfig
from system.http_server import http_server
from system.node.engines.base import EngineError
from system.node.engines.mock import Mock
from system.node.engines.ollama import Ollama
from system.node.engines.openai import OpenAI
from system.node.keeper import Keeper

HERE = "127.77.21.1"


@asynccontextmanager
async def at(app: FastAPI) -> AsyncIterator[str]:
    async with http_server(app, ComponentConfig(host=HERE, drain=0.1)) as serving:
        yield serving.url


class OllamaServer:
    """As Ollama's API: what it was asked, and what it has."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] = [
            {"name": "llama3.2:1b", "size": 1_321_098_329, "details": {"parameter_size": "1.2B", "families": ["llama"]}},
            {"name": "llava:latest", "size": 4_733_363_377, "details": {"parameter_size": "7B", "families": ["clip"]}},
            {"name": "mystery", "size": 0},
        ]  # fmt: skip
        self.app = FastAPI()
        self.app.get("/api/tags")(self.tags)
        self.app.post("/api/pull")(self.pull)
        self.app.post("/api/chat")(self.chat)

    async def tags(self) -> Any:
        return {"models": self.models}

    async def pull(self, request: Request) -> Response:
        name = (await request.json())["model"]
        if name == "nowhere:1b":
            lines: list[dict[str, Any]] = [
                {"status": "pulling manifest"},
                {"error": "pull model manifest: file does not exist"},
            ]
        else:
            lines = [
                {"status": "pulling manifest"},
                {"status": "pulling abc", "total": 200, "completed": 50},
                {"status": "success"},
            ]
            self.models.append({"name": name, "size": 10**9})
        return StreamingResponse(iter([json.dumps(line) + "\n" for line in lines]))

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if body["model"] == "broken":
            return JSONResponse({"error": "llama runner process has terminated"}, 500)
        return JSONResponse({"message": {"role": "assistant", "content": "blue"}})


def test_ollamas_models_have_the_sizes_that_it_reports() -> None:
    """Names without a size are sized by what it says; one about which nothing is known is left out."""

    async def test() -> None:
        async with at(OllamaServer().app) as url, Ollama(url) as engine:
            assert list(await engine.installed()) == [
                Model(name="llama3.2:1b", parameters=1_200_000_000, size_gb=1.32),
                Model(name="llava:latest", parameters=7_000_000_000, size_gb=4.73, vision=True),
            ]

    asyncio.run(test())


def test_ollama_pulls_with_progress_and_says_why_it_could_not() -> None:
    """In its own words."""

    async def test() -> None:
        told: list[str] = []
        async with at(OllamaServer().app) as url, Ollama(url) as engine:
            await engine.install("qwen3:4b", told.append)
            assert told == ["pulling manifest", "pulling abc 25 %", "success"]
            with pytest.raises(EngineError, match="file does not exist"):
                await engine.install("nowhere:1b", told.append)

    asyncio.run(test())


def test_ollama_is_asked_in_its_own_form() -> None:
    """Images without the browser's prefix; a failure is an error, not an answer."""

    async def test() -> None:
        server = OllamaServer()
        async with at(server.app) as url, Ollama(url) as engine:
            assert await engine.answer("llava", "what?", ["data:image/png;base64,aGk="]) == "blue"
            assert server.asked[0]["messages"] == [{"role": "user", "content": "what?", "images": ["aGk="]}]
            with pytest.raises(EngineError, match="llama runner process has terminated"):
                await engine.answer("broken", "x", [])
        async with Ollama(f"http://{HERE}:1") as engine:
            with pytest.raises(
                EngineError, match=f"Ollama at http://{HERE}:1 cannot be asked: .*; start it, or pass"
            ):
                await engine.installed()

    asyncio.run(test())


def test_a_server_that_speaks_openai_has_the_models_that_it_has() -> None:
    """It is asked for them and for completions, with a key, and nothing is fetched."""
    app = FastAPI()
    seen: list[tuple[str | None, Any]] = []

    @app.get("/v1/models")
    async def models() -> Any:
        return {"data": [{"id": "qwen3:4b"}, {"id": "house-model"}]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Any:
        body = await request.json()
        seen.append((request.headers.get("authorization"), body))
        if body["model"] != "qwen3:4b":
            return JSONResponse({"error": {"message": "no such model"}}, 404)
        return {"choices": [{"message": {"role": "assistant", "content": "blue"}}]}

    async def test() -> None:
        async with at(app) as url, OpenAI(f"{url}/v1#key") as engine:
            assert [model.name for model in await engine.installed()] == ["qwen3:4b", "house-model"]
            assert await engine.answer("qwen3:4b", "what?", ["aGk="]) == "blue"
            authorization, body = seen[0]
            assert authorization == "Bearer key"
            assert body["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
            with pytest.raises(EngineError, match="no such model"):
                await engine.answer("other", "x", [])
            with pytest.raises(EngineError, match="cannot be told to fetch it"):
                await engine.install("other", print)

    asyncio.run(test())


def test_a_missing_model_is_fetched_and_a_failure_is_kept_with_its_words() -> None:
    """And the next model that is assigned may work."""

    async def test() -> None:
        keeper = Keeper(Mock("mock:?lacks=llama3.1:8b"))

        async def assigned(model: str) -> tuple[str, str]:
            keeper.assign(model)
            await asyncio.sleep(0)
            while keeper.state == "fetching":  # noqa: ASYNC110 - the keeper's own task changes it
                await asyncio.sleep(0)
            return keeper.state, keeper.detail

        assert await assigned("llama3.1:8b") == (
            "failed", "pull model manifest: file does not exist (llama3.1:8b)",
        )  # fmt: skip
        assert await assigned("llama3.2:1b") == ("ready", "")
        assert [model.name for model in keeper.installed] == ["llama3.2:1b"]
        await keeper.close()

    asyncio.run(test())
