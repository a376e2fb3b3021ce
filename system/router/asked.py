"""What a request asks for, read from its body: the model, and what policies decide by."""

from typing import Any

import orjson

from system.router.refusals import MODEL_NOT_TEXT, NO_MODEL, NOT_AN_OBJECT, NOT_JSON, Refusal


class Asked:
    """The model a request names, with the document it was read from and the session it belongs to."""

    __slots__ = ("_header", "document", "model")

    def __init__(self, model: str, document: dict[str, Any], header: bytes = b"") -> None:
        self.model = model
        self.document = document
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
