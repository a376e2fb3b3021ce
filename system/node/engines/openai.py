"""Any server that speaks OpenAI: `/v1/models` and `/v1/chat/completions`. It has the models that it has."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from system.balancer.models import Model, model_named
from system.node.engines.base import EngineError

DEFAULT_URL = "http://localhost:8000/v1"
UNSIZED_GB = 1.0  # a name that says nothing: it runs already, so it fits


class OpenAI:
    """A server at a URL; `URL#KEY` sends a key."""

    can_install = False

    def __init__(self, url: str) -> None:
        base, _, key = (url or DEFAULT_URL).partition("#")
        self._url = base.rstrip("/")
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=5.0),
            trust_env=False,
            headers={"authorization": f"Bearer {key}"} if key else {},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def installed(self) -> Sequence[Model]:
        listed = await self._json("GET", "/models", timeout=10.0)
        return [
            model_named(name) or Model(name=name, parameters=1, size_gb=UNSIZED_GB)
            for name in (str(one["id"]) for one in listed.get("data", []))
        ]

    async def install(self, model: str, tell: Callable[[str], None]) -> None:
        msg = (
            f"{self._url} has no model {model!r}, and a server that speaks OpenAI cannot be told to fetch it"
        )
        raise EngineError(msg)

    async def answer(self, model: str, prompt: str, images: Sequence[str]) -> str:
        content: Any = prompt
        if images:
            content = [{"type": "text", "text": prompt}, *(_image(one) for one in images)]
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        found = await self._json("POST", "/chat/completions", json=body)
        try:
            return str(found["choices"][0]["message"]["content"] or "")
        except (KeyError, IndexError, TypeError):
            msg = f"{self._url} answered something that is no chat completion"
            raise EngineError(msg) from None

    async def _json(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = await self._http.request(method, self._url + path, **request)
            document = answer.json()
        except httpx.HTTPError as error:
            msg = f"{self._url} cannot be asked: {str(error) or type(error).__name__}"
            raise EngineError(msg) from None
        except ValueError:
            msg = f"{self._url}{path} does not answer JSON"
            raise EngineError(msg) from None
        if answer.is_error:
            msg = f"HTTP {answer.status_code}: {document.get('error', document)}"
            raise EngineError(msg)
        return document


def _image(image: str) -> dict[str, Any]:
    url = image if image.startswith("data:") else f"data:image/png;base64,{image}"
    return {"type": "image_url", "image_url": {"url": url}}
