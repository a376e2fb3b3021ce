"""Asking a backend: is it ready, which models has it, is it still well."""

import asyncio
from collections.abc import Iterator
from typing import Any

from system.http_client import Answer, HttpClient, Unreachable

MODEL_PATHS = ("/v1/models", "/models")
MISSING = (404, 405, 501)  # a backend without this path

Model = dict[str, Any]


class Unwell(Exception):
    """The backend answered, and its answer says that it cannot serve."""


def pauses(first: float = 0.02, longest: float = 0.25) -> Iterator[float]:
    """The pauses between two looks at a backend that is starting: eager first, then patient."""
    pause = first
    while True:
        yield pause
        pause = min(longest, pause * 1.3)


def models_in(document: Any) -> list[Model]:
    """The models of `{"data": [...]}` or of a plain list, as objects with an id."""
    listed = document.get("data") if isinstance(document, dict) else document
    found = listed if isinstance(listed, list) else []
    models = [{"id": item} if isinstance(item, str) else item for item in found]
    return [model for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]


class Probe:
    """Questions to the backend at one URL."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client = client
        self._health_path = MODEL_PATHS[0]
        self.url = url

    async def wait_until_ready(self) -> list[Model]:
        """The backend's models, once it lists them; empty when it has no such list."""
        for pause in pauses():
            try:
                models = await self.models()
            except (Unreachable, Unwell):
                await asyncio.sleep(pause)
            else:
                await self._choose_health_path()
                return models
        raise AssertionError

    async def models(self, within: float = 2.0) -> list[Model]:
        """The models it lists now; raises Unreachable or Unwell."""
        answer = await self.list_models(within)
        return models_in(answer.json()) if answer.ok else []

    async def list_models(self, within: float = 2.0) -> Answer:
        """The backend's own answer: of the first path that it has, 404 when it has none."""
        first, second = MODEL_PATHS
        path, answer = first, await self._client.request("GET", self.url + first, within=within)
        if answer.status in MISSING:
            path, answer = second, await self._client.request("GET", self.url + second, within=within)
        if not answer.ok and answer.status not in MISSING:
            msg = f"{path} answered {answer.status}"
            raise Unwell(msg)
        return answer

    async def _choose_health_path(self) -> None:
        for path in ("/health", *MODEL_PATHS):
            try:
                answer = await self._client.request("GET", self.url + path)
            except Unreachable:
                continue
            if answer.status not in MISSING:
                self._health_path = path
                return

    async def check(self, within: float) -> None:
        """Returns if the backend is well; raises Unreachable or Unwell."""
        answer = await self._client.request("GET", self.url + self._health_path, within=within)
        if not answer.ok and answer.status not in MISSING:
            msg = f"{self._health_path} answered {answer.status}"
            raise Unwell(msg)
