"""Models that can be assigned: what they are called, how large they are, and what that says."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GB_PER_BILLION = 0.65  # of the usual four-bit files; used only where an engine does not tell
COMPLEXITIES: Sequence[tuple[float, int]] = (
    (70e9, 10),
    (30e9, 9),
    (13e9, 8),
    (8e9, 7),
    (7e9, 6),
    (3e9, 5),
    (1e9, 4),
    (0.5e9, 3),
    (0.1e9, 2),
)
SEEING = (
    "vision",
    "llava",
    "bakllava",
    "minicpm-v",
    "moondream",
    "qwen2.5vl",
    "gemma3:4b",
    "gemma3:12b",
    "gemma3:27b",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: `size_gb` is what it takes in memory, in GB."""

    name: str
    parameters: int
    size_gb: float
    vision: bool = False

    @property
    def complexity(self) -> int:
        """From 1 to 10, by the number of parameters."""
        return next((points for least, points in COMPLEXITIES if self.parameters >= least), 1)

    @property
    def shown_parameters(self) -> str:
        """`8B`, `500M`."""
        if self.parameters >= 1_000_000_000:
            return f"{self.parameters // 1_000_000_000}B"
        if self.parameters >= 1_000_000:
            return f"{self.parameters // 1_000_000}M"
        return str(self.parameters)


DEFAULTS = (
    Model(name="llama3.2:1b", parameters=1_000_000_000, size_gb=1.3),
    Model(name="llama3.2:3b", parameters=3_000_000_000, size_gb=2.0),
    Model(name="llama3.1:8b", parameters=8_000_000_000, size_gb=4.9),
)

_SIZE = re.compile(r"(?:(?P<experts>\d+)x)?(?P<count>\d+(?:\.\d+)?)(?P<unit>[bm])(?![a-z0-9])", re.IGNORECASE)
_UNITS = {"b": 1_000_000_000, "m": 1_000_000}


def parameters_in(name: str) -> int | None:
    """How many parameters a name speaks of (`llama3.2:3b`, `mixtral:8x7b`); None if of none."""
    found = list(_SIZE.finditer(name))
    if not found:
        return None
    match = found[-1]
    return round(float(match["count"]) * _UNITS[match["unit"].lower()] * int(match["experts"] or 1))


def model_named(
    name: str, *, parameters: int | None = None, size_gb: float | None = None, vision: bool | None = None
) -> Model | None:
    """A model of what is known about it; None if nobody says how large it is."""
    known = parameters or parameters_in(name)
    if not known and size_gb:
        known = round(size_gb / GB_PER_BILLION * 1e9)
    if not known:
        return None
    return Model(
        name=name,
        parameters=known,
        size_gb=size_gb or round(known / 1e9 * GB_PER_BILLION, 2),
        vision=any(word in name.lower() for word in SEEING) if vision is None else vision,
    )


def merged(*groups: Iterable[Model]) -> tuple[Model, ...]:
    """Every model once, the smallest first; of two that share a name the first stands."""
    found: dict[str, Model] = {}
    for group in groups:
        for model in group:
            found.setdefault(model.name, model)
    return tuple(sorted(found.values(), key=lambda model: (model.parameters, model.name)))


class CatalogueError(ValueError):
    """A catalogue entry that cannot be read."""


def catalogue_entry(text: str) -> Model:
    """`NAME` or `NAME=GB`, with `+vision` behind it for a model that sees."""
    body, _, mark = text.partition("+")
    name, _, size = body.partition("=")
    if mark not in ("", "vision"):
        msg = f"--model {text!r}: {mark!r} is not known; write +vision, or nothing"
        raise CatalogueError(msg)
    try:
        size_gb = float(size) if size else None
    except ValueError:
        msg = f"--model {text!r}: {size!r} is not a number of GB"
        raise CatalogueError(msg) from None
    model = model_named(name.strip(), size_gb=size_gb, vision=True if mark else None)
    if model is None:
        msg = f"--model {text!r}: its name does not say how large it is; write {name}=GB"
        raise CatalogueError(msg)
    return model
