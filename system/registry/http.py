"""Requests and answers of the registry's own small router, on raw ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote

import orjson
from pydantic import BaseModel, ValidationError

from system.asgi import BodyTooLarge, Receive, Scope, Send, header, read_body

JSON = b"application/json"
SLOWEST_BODY = 10.0  # seconds a caller may take to send one

B = TypeVar("B", bound=BaseModel)


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(Exception):
    """A request that is answered with a reason. `detail` is what the `/register` dialect shows instead."""

    def __init__(self, status: int, reason: str, detail: Any = None, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = _lines(headers)


class Request(NamedTuple):
    """A request, with the one part of its path that varies."""

    scope: Scope
    receive: Receive
    send: Send
    id: str
    largest_body: int

    @property
    def caller(self) -> str:
        """The address it came from."""
        return self.scope["client"][0] if self.scope.get("client") else ""

    @property
    def here(self) -> str:
        """The address at which it arrived."""
        return self.scope["server"][0] if self.scope.get("server") else ""

    def header(self, name: bytes) -> str | None:
        value = header(self.scope, name)
        return None if value is None else value.decode("latin-1")

    def query(self) -> dict[str, str]:
        try:
            pairs = parse_qsl(
                self.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100
            )
        except ValueError:
            raise Refused(400, "more than 100 query parameters") from None
        return dict(pairs)

    async def body(self) -> bytes:
        announced = self.header(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > self.largest_body:
            raise self._too_large()
        try:
            async with asyncio.timeout(SLOWEST_BODY):
                return await read_body(self.receive, self.largest_body)
        except BodyTooLarge:
            raise self._too_large() from None
        except TimeoutError:
            reason = f"the body did not arrive within {SLOWEST_BODY:.0f} s"
            raise Refused(408, reason, connection="close") from None

    def _too_large(self) -> Refused:
        reason = f"the body is larger than {self.largest_body} bytes (--max-body)"
        return Refused(413, reason, connection="close")

    async def model(self, model: type[B], statuses: "Statuses") -> B:
        """The body as a checked model."""
        media = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if media and media != "application/json" and not media.endswith("+json"):
            reason = f"expected `Content-Type: application/json`, not {media}"
            raise Refused(statuses.wrong_media, reason)
        body = await self.body()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise _malformed(error, statuses) from None
        return check(model, document)


class Statuses(NamedTuple):
    """How a dialect answers a body that cannot be used."""

    malformed: int
    wrong_media: int


def check(model: type[B], document: Any) -> B:
    """A document as a model; Refused with every mistake."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        detail = [{**one, "loc": ["body", *one["loc"]], "input": _short(one["input"])} for one in errors]
        raise Refused(422, "; ".join(map(_sentence, errors)), detail) from None


def _malformed(error: orjson.JSONDecodeError, statuses: Statuses) -> Refused:
    where: dict[str, Any] = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}
    detail = [{**where, "input": {}, "ctx": {"error": error.msg}}]
    return Refused(statuses.malformed, f"Invalid JSON: {error.msg} at character {error.pos}", detail)


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"Missing required field: {where}"
    return f"{where or 'body'}: {error['msg']}"


def _short(value: Any) -> Any:
    """What was sent, unless it is long."""
    try:
        return value if len(orjson.dumps(value)) <= 1_000 else "(long)"
    except orjson.JSONEncodeError:
        return "(deep)"


Streamed = Callable[[Receive, Send], Awaitable[None]]
"""Sends an answer that goes on, for as long as it goes on."""
Handler = Callable[[Request], Awaitable[Answer | Streamed]]


def answer(status: int, document: Any, **headers: str) -> Answer:
    """A compact JSON answer."""
    return Answer(status, orjson.dumps(document), JSON, _lines(headers))


def _lines(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((key.replace("_", "-").encode(), value.encode()) for key, value in headers.items())


def sorted_answer(status: int, document: Any) -> Answer:
    """A compact JSON answer whose keys are in order, as clients of the `/services` dialect know it."""
    return Answer(status, orjson.dumps(document, option=orjson.OPT_SORT_KEYS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path, what answers it, and what its documentation is made from, beside the handler's docstring."""

    method: str
    path: str
    handler: Handler
    takes: type[BaseModel] | None = None
    status: int = 200
    media: str = "application/json"
    query: tuple[str, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Headers that mean something here, and what they may say; nothing for anything."""


class Routes:
    """Paths and their handlers. `{id}` stands for one segment of a path."""

    def __init__(self) -> None:
        self.all: list[Route] = []
        self._fixed: dict[str, dict[str, Handler]] = {}
        self._varying: dict[tuple[str, ...], dict[str, Handler]] = {}

    def add(self, method: str, path: str, handler: Handler, **about: Any) -> None:
        """`about` are further fields of a Route."""
        self.all.append(Route(method=method, path=path, handler=handler, **about))
        segments = tuple(path.split("/"))
        if "{id}" in segments:
            assert segments[2] == "{id}", "the part that varies is the second one"
            self._varying.setdefault((segments[1], *segments[3:]), {})[method] = handler
        else:
            self._fixed.setdefault(path, {})[method] = handler

    def find(self, scope: Scope) -> tuple[dict[str, Handler], str]:
        """The handlers of a path by method (none where there is no such path), and its varying part."""
        path = scope["path"]
        if (methods := self._fixed.get(path)) is not None:
            return methods, ""
        segments = scope.get("raw_path", path.encode()).decode("latin-1").split("/")
        if len(segments) < 3 or not segments[2]:
            return {}, ""
        return self._varying.get((segments[1], *segments[3:]), {}), unquote(segments[2])
