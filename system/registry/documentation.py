"""`/docs`, `/redoc` and `/openapi.json`, made by FastAPI from the table of routes when somebody asks."""

import asyncio
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
        routes.add("GET", "/docs", self.docs)
        routes.add("GET", "/redoc", self.redoc)

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
        summary=(route.handler.__doc__ or "").strip(),
        operation_id=f"{route.method} {route.path}",
        openapi_extra={
            "parameters": [*_parameters("query", route.query), *_parameters("header", route.headers)]
        },
        responses={} if not named else {404: {"description": "Nobody is registered under this name."}},
        tags=[route.path.split("/")[1]],
    )


def _parameters(place: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"in": place, "name": name, "required": False, "schema": {"type": "string"}} for name in names]
