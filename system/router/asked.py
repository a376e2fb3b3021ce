"""What a request asks for, read from its body: the model, and what policies decide by."""

from typing import Any

import orjson

from system.router.refusals import MODEL_NOT_TEXT, NO_MODEL, NOT_AN_OBJECT, NOT_JSON, Refusal
from system.router.scan import NotAnObject
from system.router.spool import Spool


class Asked:
    """The model a request names, with the document it was read from and the session it belongs to."""

    __slots__ = ("_header", "document", "large", "model")

    def __init__(
        self, model: str, document: dict[str, Any], header: bytes = b"", *, large: int | None = None
    ) -> None:
        self.model = model
        self.document = document
        self.large = large  # bytes of a body of which the document holds only what was looked for
        self._header = header

    @property
    def session(self) -> str:
        """What requests of one session have in common: their prompt_cache_key, or else a header's value."""
        key = self.document.get("prompt_cache_key")
        if isinstance(key, str) and key:
            return f"key:{key}"
        return f"header:{self._header.decode('latin-1')}" if self._header else ""


def read_asked(body: bytes, session: bytes = b"") -> Asked | Refusal:
    """What the body asks for, or why it cannot be told."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return NOT_JSON.saying(why=str(error) if body else "it is empty")
    if type(document) is not dict:
        return NOT_AN_OBJECT
    model = document.get("model")
    if type(model) is str and model:
        return Asked(model, document, session)
    return NO_MODEL if model is None else MODEL_NOT_TEXT


def read_asked_of(spool: Spool, session: bytes = b"") -> Asked | Refusal:
    """What a body that was not kept in memory asks for."""
    try:
        spool.scanner.end()
    except NotAnObject as error:
        return NOT_JSON.saying(why=error)
    found = spool.scanner.found
    model = found.get("model")
    if model:
        document = {"prompt_cache_key": found.get("prompt_cache_key")}
        return Asked(model, document, session, large=len(spool))
    return MODEL_NOT_TEXT if "model" in found else NO_MODEL
