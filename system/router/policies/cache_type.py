"""Cache type: long prompts go to backends with a static cache, short ones to those with a paged cache.

Among the backends whose `cache_type` fits, weighted round robin. Where none fits: session affinity if the
request names a session, weighted round robin over all if it does not.
"""

from collections.abc import Sequence
from typing import Any

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options
from system.router.policies.session import Session
from system.router.policies.weighted import Weighted


class CacheType:
    """Routing by size, for deployments that tag their services with `cache_type`."""

    def __init__(self, options: Options) -> None:
        self._threshold = options.cache_type_threshold
        self._fitting = {kind: Weighted(options) for kind in ("static", "paged")}
        self._all = Weighted(options)
        self._sessions = Session(options)

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        size = text_size(asked.document) if asked.large is None else asked.large
        wanted = "static" if size > self._threshold else "paged"
        fitting = [backend for backend in backends if backend.entry.metadata.get("cache_type") == wanted]
        if fitting:
            return self._fitting[wanted].pick(fitting, asked)
        return (self._sessions if asked.session else self._all).pick(backends, asked)


def text_size(document: dict[str, Any]) -> int:
    """UTF-8 bytes of the text of all messages, or of the prompt where there are none."""
    messages = document.get("messages")
    texts = _of_messages(messages) if isinstance(messages, list) else _strings(document.get("prompt"))
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _of_messages(messages: list[Any]) -> list[str]:
    texts: list[str] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            parts = [part for part in content if isinstance(part, dict)]
            texts += [
                part[key] for part in parts for key in ("text", "content") if isinstance(part.get(key), str)
            ]
        else:
            texts += _strings(content)
    return texts
