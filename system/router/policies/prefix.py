"""Prefix: the backend that has already seen the longest part of this prompt, so that its cache is used.

Prompts are cut into blocks; each block's hash contains those before it, so that a block stands for the whole
prompt up to there. The last backend that got a block is remembered, within bounds. A backend with more than
its share of the load passes the request on to the one with the fewest.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.policies.base import Options, has_room
from system.router.policies.least_outstanding import LeastOutstanding

LONGEST = 256  # blocks of one prompt that are looked at


class Prefix:
    """Cache-aware routing without asking the backends what they cache."""

    def __init__(self, options: Options) -> None:
        self._overload = options.overload
        self._block = options.prefix_block
        self._most = options.prefix_blocks
        self._others = LeastOutstanding(options)
        self._seen: OrderedDict[bytes, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def pick(self, backends: Sequence[Backend], asked: Asked) -> Backend:
        prompt = prompt_of(asked.document)
        if prompt is None:
            return self._others.pick(backends, asked)
        keys = list(self._keys(prompt))
        chosen = self._longest(keys, {backend.name: backend for backend in backends})
        if chosen is None or not has_room(chosen, backends, self._overload):
            chosen = self._others.pick(backends, asked)
        self._remember(keys, chosen.name)
        return chosen

    def _longest(self, keys: list[bytes], backends: dict[str, Backend]) -> Backend | None:
        for key in reversed(keys):
            backend = backends.get(self._seen.get(key, ""))
            if backend is not None:
                return backend
        return None

    def _remember(self, keys: list[bytes], name: str) -> None:
        for key in keys:
            self._seen[key] = name
            self._seen.move_to_end(key)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def _keys(self, prompt: bytes) -> Iterator[bytes]:
        key = b""
        for start in range(0, min(len(prompt), LONGEST * self._block), self._block):
            block = prompt[start : start + self._block]
            if len(block) < self._block and start:
                return  # the tail of a conversation is what changes next
            key = blake2b(key + block, digest_size=12).digest()
            yield key


def prompt_of(document: dict[str, Any]) -> bytes | None:
    """The part of a request that a cache is keyed by, in the order in which it is read; None without one.

    Of a body too large to be held only a few members are known, and none of these.
    """
    said = next((document[key] for key in ("messages", "prompt", "input") if document.get(key)), None)
    if said is None:
        return None
    return orjson.dumps([document.get("tools"), document.get("instructions"), said])
