"""Whether an answered tensor is what it should be; if not, where, what it is and what was wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.tensors import DATATYPES, Tensor, TensorError, digest_of, rounded

if TYPE_CHECKING:
    from harness.expressions import Expression
    from harness.tensors import Array, Datatype, Kept

USUAL = 4
"""So many times a datatype's precision may a fraction be off, unless stated."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a fraction may be off: of itself, by datatype, and in any case."""

    relative: Mapping[str, float] = field(default_factory=dict)
    absolute: float = 0.0

    def of(self, kind: Datatype) -> float:
        """The relative part."""
        return self.relative.get(kind.name, USUAL * kind.eps)


def difference(
    got: Kept, expression: Expression, inputs: Mapping[str, Tensor], index: int, tolerance: Tolerance
) -> str:
    """What is wrong with a tensor, to be read behind its name; empty when nothing is."""
    wanted = expression.value(inputs, index)
    if expression.datatype and got.datatype != expression.datatype:
        return f" is {got.datatype}, wanted {expression.datatype}"
    if got.shape != wanted.shape:
        return f" has shape {list(got.shape)}, wanted {list(wanted.shape)}"
    kind = DATATYPES[got.datatype]
    if (wanted.dtype.kind == "O" and _is_text(wanted)) != (kind.name == "BYTES") and wanted.size:
        return f" is {got.datatype}, wanted {'BYTES' if _is_text(wanted) else 'numbers'}"
    flat = wanted.reshape(-1)
    kept = flat[:: got.every] if got.every else flat[:0]
    wrong = np.flatnonzero(~_equal(got.array, kept, kind, tolerance))
    if wrong.size:
        position = int(wrong[0])
        where = np.unravel_index(position * max(got.every, 1), got.shape)
        return _told(where, got.array[position], kept[position], expression, inputs, wrong.size, kept.size)
    if got.every != 1 and kind.exact and _digest(kind, wanted) != got.digest:
        return f" differs from {expression.text} in an element that the history does not keep"
    return ""


def _equal(got: Array, wanted: Array, kind: Datatype, tolerance: Tolerance) -> Array:
    if kind.exact:
        return np.asarray(
            [one == other for one, other in zip(got.tolist(), wanted.tolist(), strict=True)], bool
        )
    found = got.astype(np.float64)
    right = rounded(kind.name, wanted.astype(np.float64))
    with np.errstate(invalid="ignore"):
        near = np.abs(found - right) <= tolerance.of(kind) * np.abs(right) + tolerance.absolute
    near &= np.isfinite(right)  # nothing is near infinity but itself
    return np.asarray(near | (found == right) | (np.isnan(found) & np.isnan(right)), bool)


def _is_text(value: Array) -> bool:
    return value.size > 0 and isinstance(value.reshape(-1)[0], bytes)


def _digest(kind: Datatype, wanted: Array) -> str:
    """The digest of what was wanted; empty where the datatype cannot hold it."""
    try:
        array = wanted if kind.name == "BYTES" else wanted.astype(kind.dtype)
        return digest_of(Tensor(kind.name, array))
    except (OverflowError, TensorError):
        return ""


def _told(
    where: tuple[Any, ...],
    got: Any,
    wanted: Any,
    expression: Expression,
    inputs: Mapping[str, Tensor],
    wrong: int,
    judged: int,
) -> str:
    position = f"[{', '.join(map(str, where))}]" if where else ""
    among = f" (one of {wrong} wrong among {judged})" if wrong > 1 else ""
    beside = [
        f"{name} {_shown(tensor.array[where])}"
        for name, tensor in inputs.items()
        if expression.each and name in expression.names and _reaches(tensor.array, where)
    ]
    given = f" with {', '.join(beside)}" if beside else ""
    return f"{position} is {_shown(got)}, wanted {_shown(wanted)} = {expression.text}{given}{among}"


def _reaches(array: Array, where: tuple[Any, ...]) -> bool:
    return array.ndim == len(where) and all(i < n for i, n in zip(where, array.shape, strict=True))


def _shown(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    text = f"{value:.9g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
