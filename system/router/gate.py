"""Where a request goes: to a page of the router's own, to the backends of a model, or back with a refusal."""

import math
from collections.abc import Callable
from dataclasses import replace

from system.router.asked import Asked, read_asked, read_asked_of
from system.router.callers import Caller, Callers
from system.router.refusals import (
    MODEL_NOT_ALLOWED,
    NO_BACKEND,
    NO_TOKEN,
    RATE_EXCEEDED,
    UNKNOWN_MODEL,
    UNKNOWN_PATH,
    WRONG_METHOD,
    Refusal,
)
from system.router.request import Page, Request
from system.router.table import Group, Table

OPEN_PATHS = frozenset({b"/health", b"/status", b"/ready"})  # probes carry no token

# What is proxied without /v1 before it; below /v1 everything that is no page of the router's own is.
SHORT_PATHS = frozenset(
    {
        b"/chat/completions",
        b"/completions",
        b"/embeddings",
        b"/responses",
        b"/rerank",
        b"/score",
        b"/moderations",
        b"/tokenize",
        b"/detokenize",
    }
)
_PROXIED = SHORT_PATHS | {b"/v1" + path for path in SHORT_PATHS}
_MODELS = b"/v1/models/"


class Gate:
    """Decides on requests; `everything` lets those through that are for no page and name no model."""

    def __init__(
        self, table: Table, callers: Callers | None, clock: Callable[[], float], *, everything: bool
    ) -> None:
        self.pages: dict[bytes, Page] = {}
        self._table = table
        self._callers = callers
        self._clock = clock
        self._everything = everything

    def admits(self, request: Request) -> Refusal | None:
        """Whether there is something at this path for this client; decided before the body is read."""
        path, method = request.path, request.method
        if method != b"POST" or not (path in _PROXIED or self._is_proxied(path)):
            page = self._page(path)
            if page is not None and method in (b"GET", b"HEAD"):
                request.page = page
            elif page is not None or not self._everything:
                return self._nowhere(method, path, page)
        if self._callers is not None and path not in OPEN_PATHS:
            request.caller = self._callers.find(request.authorization)
            return NO_TOKEN if request.caller is None else None
        return None

    def _page(self, path: bytes) -> Page | None:
        page = self.pages.get(path)
        return self.pages[_MODELS] if page is None and path.startswith(_MODELS) else page

    def _is_proxied(self, path: bytes) -> bool:
        return path.startswith(b"/v1/") and self._page(path) is None

    def _nowhere(self, method: bytes, path: bytes, page: Page | None) -> Refusal:
        if page is not None:
            return _wrong_method(method, path, "GET")
        if path in _PROXIED or self._is_proxied(path):
            return _wrong_method(method, path, "POST")
        return UNKNOWN_PATH.saying(method=_text(method), path=_text(path))

    def backends_for(self, request: Request) -> tuple[Asked, Group] | Refusal:
        """What a request asks for, and who may answer it."""
        body = request.body
        session = request.session
        asked = read_asked(body, session) if isinstance(body, bytes) else read_asked_of(body, session)
        if isinstance(asked, Refusal):
            if not self._everything or request.path in _PROXIED:
                return asked
            asked = Asked("", {}, session)
        refused = request.caller and self._refuses(request.caller, asked.model)
        if refused:
            return refused
        if not asked.model:
            return asked, self._table.everyone
        group = self._table.groups.get(asked.model)
        if group is None:
            refusal = NO_BACKEND if self._table.knows(asked.model) else UNKNOWN_MODEL
            return refusal.saying(model=asked.model[:200])
        return asked, group

    def _refuses(self, caller: Caller, model: str) -> Refusal | None:
        if not caller.may_use(model):
            return MODEL_NOT_ALLOWED.saying(model=model[:200])
        seconds = math.ceil(caller.wait(self._clock()))
        if not seconds:
            return None
        return replace(RATE_EXCEEDED.saying(seconds=seconds), headers=((b"retry-after", b"%d" % seconds),))


def _wrong_method(method: bytes, path: bytes, allowed: str) -> Refusal:
    words = WRONG_METHOD.saying(method=_text(method), path=_text(path), allowed=allowed)
    return replace(words, headers=((b"allow", allowed.encode()),))


def _text(raw: bytes) -> str:
    return raw[:200].decode("ascii", "replace")
