"""What a worker can do, and which handler answers a call. No I/O."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from system.worker.declared import DeclarationError, Signature, signature_of

Function = Callable[..., Any]
UNNAMED = "unknown"


class UnknownModel(LookupError):
    """No handler answers to a name; names those that are near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A handler and what it was registered for."""

    attributes: Mapping[str, Any]
    function: Function
    signature: Signature | None
    streams: bool
    generates: bool
    is_async: bool
    inline: bool
    takes_context: bool

    @classmethod
    def of(
        cls, function: Function, attributes: Mapping[str, Any], *, stream: bool, inline: bool
    ) -> "Capability":
        """The capability of a function; whether it is async or a generator shows."""
        generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        signature = signature_of(function)
        if stream and not generates and signature is not None:
            msg = (
                f"{function.__qualname__}: a streaming handler with declared tensors yields its answers; "
                "without them it takes (request, context, stream)"
            )
            raise DeclarationError(msg)
        arity = len(inspect.signature(function).parameters)
        return cls(
            attributes=dict(attributes),
            function=function,
            signature=signature,
            streams=stream or generates,
            generates=generates,
            is_async=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
            inline=inline,
            takes_context=arity > 1 if signature is None else signature.context is not None,
        )

    @property
    def name(self) -> str:
        """The model name it answers to: its type, or where it has none its model."""
        return str(self.attributes.get("type", self.attributes.get("model", UNNAMED)))

    @property
    def version(self) -> str | None:
        """The model version it answers to, if it has one."""
        model = self.attributes.get("model") if "type" in self.attributes else None
        return None if model is None else str(model)


class Capabilities:
    """All of a worker's, in the order of registration."""

    def __init__(self) -> None:
        self.all: list[Capability] = []
        self._found: dict[tuple[str, str, bool], Capability] = {}

    def add(self, capability: Capability) -> None:
        self.all.append(capability)
        self._found.clear()

    @property
    def attributes(self) -> list[Mapping[str, Any]]:
        """What the registry is told."""
        return [capability.attributes for capability in self.all]

    def find(self, name: str, version: str, *, streams: bool = False) -> Capability:
        """The handler for a call. One that streams answers a plain call only where no other does."""
        key = (name, version, streams)
        if key not in self._found:
            self._found[key] = self._search(name, version, streams=streams)
        return self._found[key]

    def named(self, name: str) -> list[Capability]:
        return [capability for capability in self.all if capability.name == name]

    def _search(self, name: str, version: str, *, streams: bool) -> Capability:
        candidates = sorted(self.named(name), key=lambda one: one.streams != streams)
        if not candidates:
            raise UnknownModel(self._unknown(name))
        if not version:
            return candidates[0]
        exact = [one for one in candidates if one.version == version]
        general = [one for one in candidates if one.version is None]
        if not exact and not general:
            versions = ", ".join(sorted({str(one.version) for one in candidates}))
            msg = f"Model '{name}:{version}' not found; versions of {name} are {versions}"
            raise UnknownModel(msg)
        return (exact or general)[0]

    def _unknown(self, name: str) -> str:
        names = list(dict.fromkeys(capability.name for capability in self.all))
        near = difflib.get_close_matches(name, names, n=3)
        if near:
            return f"Model '{name}' not found; did you mean {' or '.join(near)}?"
        return f"Model '{name}' not found; this worker has {', '.join(names) or 'none'}"
