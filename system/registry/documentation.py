"""`/docs`, `/redoc` and `/openapi.json`, made by FastAPI from the table of routes when somebody asks."""

import asyncio
from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

import orjson

from system.registry.http import Answer, Request, Route, Routes

if TYPE_CHECKING:
    from fastapi import FastAPI

HTML = b"text/html; charset=utf-8"


class Documentation:
    """The handlers. FastAPI is imported with the first question: start-up does not pay for it."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._made: asyncio.Task[dict[str, bytes]] | None = None

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/openapi.json", self.openapi)
        routes.add("GET", "/docs", self.docs, media="text/html")
        routes.add("GET", "/redoc", self.redoc, media="text/html")

    async def openapi(self, request: Request) -> Answer:
        """This description, for machines."""
        return Answer(200, (await self._pages())["openapi"])

    async def docs(self, request: Request) -> Answer:
        """This description, to try out."""
        return Answer(200, (await self._pages())["docs"], HTML)

    async def redoc(self, request: Request) -> Answer:
        """This description, to read."""
        return Answer(200, (await self._pages())["redoc"], HTML)

    async def _pages(self) -> dict[str, bytes]:
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(_make, self._routes.all))
        return await asyncio.shield(self._made)


def _make(routes: list[Route]) -> dict[str, bytes]:
    from fastapi import FastAPI
    from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html

    app = FastAPI(title="muster registry", docs_url=None, redoc_url=None, openapi_url=None)
    for route in routes:
        _describe(app, route)
    place: dict[str, Any] = {"openapi_url": "openapi.json", "title": "muster registry"}
    return {
        "openapi": orjson.dumps(app.openapi()),
        "docs": bytes(get_swagger_ui_html(**place).body),
        "redoc": bytes(get_redoc_html(**place).body),
    }


def _describe(app: "FastAPI", route: Route) -> None:
    from fastapi import Response

    async def described(**_: Any) -> None:
        """Never called: FastAPI reads its signature."""

    named = {"name": str} if "{id}" in route.path else {}
    taken = {"body": route.takes} if route.takes else {}
    described.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(key, Parameter.KEYWORD_ONLY, annotation=kind) for key, kind in (named | taken).items()]
    )
    app.add_api_route(
        route.path.replace("{id}", "{name}"),
        described,
        methods=[route.method],
        status_code=route.status,
        response_class=Response,
        summary=(route.handler.__doc__ or "").strip(),
        operation_id=f"{route.method} {route.path}",
        openapi_extra={
            "parameters": [
                *_parameters("query", dict.fromkeys(route.query, ())),
                *_parameters("header", route.headers),
            ]
        },
        responses=_responses(route),
        tags=[route.path.split("/")[1]],
    )


_REFUSALS = {
    400: "The body or the query cannot be read.",
    404: "Nobody matches, or is registered under this name.",
    408: "The body took too long.",
    409: "The lease id is that of an older registration.",
    413: "The body is larger than --max-body.",
    415: "The body is not JSON by its own account.",
    422: "A field is missing, or cannot be what it says.",
    429: "As much is registered as may be.",
}


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    """What may be answered, and in which media type the answer that is hoped for comes."""
    refused = {400, 404, 408, 409, 413} if "{id}" in route.path else {400}
    refused |= {404} if route.path == "/route" else set()
    refused |= {408, 413, 415, 422, 429} if route.takes else set()
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": _REFUSALS[status], "content": {"application/json": {}}} for status in refused
    }
    return refusals | {route.status: {"content": {route.media: {}}}}


def _parameters(place: str, known: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "in": place,
            "name": name,
            "required": False,
            "schema": {"type": "string", **({"enum": values} if values else {})},
        }
        for name, values in known.items()
    ]
