"""Ollama, over its HTTP API (https://github.com/ollama/ollama/blob/main/docs/api.md)."""

import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from system.balancer.models import Model, model_named
from system.node.engines.base import EngineError, plain_base64

DEFAULT_URL = "http://localhost:11434"
GB = 1e9


class Ollama:
    """An Ollama at a URL."""

    can_install = True

    def __init__(self, url: str) -> None:
        self._url = url or DEFAULT_URL
        self._http = httpx.AsyncClient(
            base_url=self._url, timeout=httpx.Timeout(None, connect=5.0), trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def installed(self) -> Sequence[Model]:
        listed = await self._json("GET", "/api/tags", timeout=10.0)
        found = (_model(one) for one in listed.get("models", []))
        return [model for model in found if model is not None]

    async def install(self, model: str, tell: Callable[[str], None]) -> None:
        try:
            async with self._http.stream("POST", "/api/pull", json={"model": model}) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise EngineError(_reason(answer.status_code, await answer.aread()))
                async for line in answer.aiter_lines():
                    tell(_step(line))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    async def answer(self, model: str, prompt: str, images: Sequence[str]) -> str:
        message: dict[str, Any] = {"role": "user", "content": prompt}
        if images:
            message["images"] = [plain_base64(image) for image in images]
        body = {"model": model, "messages": [message], "stream": False}
        found = await self._json("POST", "/api/chat", json=body)
        return str(found.get("message", {}).get("content", ""))

    async def _json(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = await self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        if answer.status_code != httpx.codes.OK:
            raise EngineError(_reason(answer.status_code, answer.content))
        try:
            return answer.json()
        except ValueError:
            msg = f"what answers at {self._url} is not Ollama: no JSON came for {path}"
            raise EngineError(msg) from None

    def _unreachable(self, error: httpx.HTTPError) -> EngineError:
        what = str(error) or type(error).__name__
        return EngineError(f"Ollama at {self._url} cannot be asked: {what}; start it, or pass --engine-url")


def _model(listed: dict[str, Any]) -> Model | None:
    details = listed.get("details") or {}
    told = str(details.get("parameter_size", ""))
    named = model_named(str(listed["name"]), size_gb=round(listed.get("size", 0) / GB, 2) or None)
    sees = "clip" in (details.get("families") or []) or "mllama" in (details.get("families") or [])
    if told and (sized := model_named(f":{told.lower()}")):
        return model_named(
            str(listed["name"]),
            parameters=sized.parameters,
            size_gb=round(listed.get("size", 0) / GB, 2) or None,
            vision=sees or None,
        )
    return named


def _reason(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"


def _step(line: str) -> str:
    """A line of a pull's progress, for people; raises EngineError where it says that it failed."""
    try:
        said = json.loads(line or "{}")
    except ValueError:
        return line[:100]
    if said.get("error"):
        raise EngineError(str(said["error"]))
    total, done = said.get("total"), said.get("completed", 0)
    status = str(said.get("status", ""))
    return f"{status} {100 * done // total} %" if total else status
