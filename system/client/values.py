"""Lists and arrays to tensors, and back. No I/O.

Lists become INT32 (whole numbers and booleans), FP32 (where one has a fraction) or BYTES (bytes and text),
and travel as typed contents; arrays keep their dtype and travel as raw contents.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from system.client.errors import InvalidValue
from system.datatypes import Array, TensorError, datatype_of
from system.tensors import Tensor


def encoded(inputs: Mapping[str, Any]) -> tuple[dict[str, Tensor], bool]:
    """The tensors of a call, and whether any of them was an array."""
    arrays = any(isinstance(value, np.ndarray | np.generic) for value in inputs.values())
    return {name: _tensor(name, value) for name, value in inputs.items()}, arrays


def decoded(tensors: Mapping[str, Tensor], *, as_numpy: bool) -> dict[str, Any]:
    """The outputs as arrays or as (nested) lists."""
    return {name: tensor.array if as_numpy else tensor.array.tolist() for name, tensor in tensors.items()}


def _tensor(name: str, value: Any) -> Tensor:
    try:
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            return Tensor(datatype_of(array.dtype).name, array)
        return _of_list(value)
    except (TensorError, ValueError, TypeError, OverflowError) as error:
        msg = f"input {name!r} cannot be sent: {error}"
        raise InvalidValue(msg) from None


def _of_list(value: Any) -> Tensor:
    kinds = {_kind(leaf) for leaf in _leaves(value)}
    if not kinds:
        return Tensor("", np.zeros(0, np.float32))
    if kinds == {"BYTES"}:
        return Tensor("BYTES", _objects(value))
    if "BYTES" in kinds:
        msg = "text and numbers are mixed"
        raise ValueError(msg)
    if kinds == {"INT32"}:
        try:
            return Tensor("INT32", np.asarray(value, np.int32))
        except OverflowError:
            msg = "a number does not fit INT32, which lists become: pass a numpy array, such as np.int64"
            raise ValueError(msg) from None
    return Tensor("FP32", np.asarray(value, np.float32))


_KINDS = ((bool | int | np.integer | np.bool, "INT32"), (float | np.floating, "FP32"), (bytes | str, "BYTES"))


def _kind(leaf: Any) -> str:
    for types, kind in _KINDS:
        if isinstance(leaf, types):
            return kind
    msg = f"{type(leaf).__name__} is neither a number nor text"
    raise TypeError(msg)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _objects(value: Any) -> Array:
    """Nested lists of text as an array of objects, in the lists' shape."""
    flat = [leaf.encode() if isinstance(leaf, str) else leaf for leaf in _leaves(value)]
    array = np.empty(len(flat), object)
    array[:] = flat
    # numpy's own idea of the shape, from numbers instead of the texts: ragged lists are refused there
    return array.reshape(np.asarray(_lengths(value)).shape)


def _lengths(value: Any) -> Any:
    return [_lengths(item) for item in value] if isinstance(value, list | tuple) else len(value)
