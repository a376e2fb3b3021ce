"""Tensors of the Open Inference Protocol: datatypes, raw contents, and what a history keeps of them. Pure.

BF16 is float32 to numpy, BYTES an array of objects, each `bytes`.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KEPT = 8192
"""Bytes of a tensor that a history keeps; of a larger one every n-th element, and a digest of all of it."""


class TensorError(ValueError):
    """A tensor that is not what it says it is; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Datatype:
    """A datatype: numpy's name, in which field typed contents stand (empty: raw only), and its precision.

    `eps` is the distance from 1 to the next number, 0 where values are exact.
    """

    name: str
    dtype: np.dtype[Any]
    field: str
    eps: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether two values are either equal or different."""
        return self.eps == 0.0

    @property
    def size(self) -> int:
        """Bytes of an element in raw contents; 0: each has its own."""
        return {"BYTES": 0, "BF16": 2}.get(self.name, self.dtype.itemsize)


def _datatypes() -> dict[str, Datatype]:
    table = {
        "BOOL": ("?", "bool_contents", 0.0),
        **{f"INT{bits}": (f"<i{bits // 8}", "int_contents", 0.0) for bits in (8, 16, 32)},
        "INT64": ("<i8", "int64_contents", 0.0),
        **{f"UINT{bits}": (f"<u{bits // 8}", "uint_contents", 0.0) for bits in (8, 16, 32)},
        "UINT64": ("<u8", "uint64_contents", 0.0),
        "FP16": ("<f2", "", 2.0**-10),
        "FP32": ("<f4", "fp32_contents", 2.0**-23),
        "FP64": ("<f8", "fp64_contents", 2.0**-52),
        "BF16": ("<f4", "", 2.0**-7),
        "BYTES": ("O", "bytes_contents", 0.0),
    }
    return {name: Datatype(name, np.dtype(code), field, eps) for name, (code, field, eps) in table.items()}


DATATYPES: Mapping[str, Datatype] = _datatypes()


def datatype(name: str) -> Datatype:
    """The datatype of a name; raises TensorError."""
    if name not in DATATYPES:
        msg = f"there is no datatype '{name}'; there are {', '.join(DATATYPES)}"
        raise TensorError(msg)
    return DATATYPES[name]


class Tensor(NamedTuple):
    """A tensor's datatype and its values."""

    datatype: str
    array: Array


def rounded(name: str, array: Array) -> Array:
    """Numbers as a floating datatype holds them, as float64; beyond its range they are infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if name == "BF16":
            return _widened(_narrowed(np.asarray(array, "<f4"))).astype(np.float64)
        return np.asarray(array).astype(DATATYPES[name].dtype).astype(np.float64)


def to_raw(tensor: Tensor) -> bytes:
    """Raw contents: little-endian, row by row; BYTES each behind their length in four bytes."""
    if tensor.datatype == "BYTES":
        items = tensor.array.ravel().tolist()
        return b"".join(part for item in items for part in (struct.pack("<I", len(item)), item))
    if tensor.datatype == "BF16":
        return _narrowed(tensor.array).tobytes()
    return np.ascontiguousarray(tensor.array, DATATYPES[tensor.datatype].dtype).tobytes()


def from_raw(name: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """The tensor of raw contents; raises TensorError."""
    count, kind = _elements(shape), datatype(name)
    if name == "BYTES":
        items = list(_split(raw))
        if len(items) != count:
            msg = f"{len(items)} elements in raw contents, but shape {list(shape)} has {count}"
            raise TensorError(msg)
        return Tensor(name, texts(items).reshape(tuple(shape)))
    if len(raw) != count * kind.size:
        msg = f"{len(raw)} bytes of raw contents, but {name} of shape {list(shape)} has {count * kind.size}"
        raise TensorError(msg)
    flat = _widened(np.frombuffer(raw, "<u2")) if name == "BF16" else np.frombuffer(raw, kind.dtype)
    return Tensor(name, flat.reshape(tuple(shape)))


def from_values(name: str, shape: Sequence[int], values: Sequence[Any]) -> Tensor:
    """The tensor of typed contents; raises TensorError."""
    count, kind = _elements(shape), datatype(name)
    if len(values) != count:
        msg = f"{len(values)} values, but shape {list(shape)} has {count}"
        raise TensorError(msg)
    try:
        flat = texts(values) if name == "BYTES" else np.array(list(values), kind.dtype)
    except OverflowError as error:
        msg = f"a value that {name} does not hold: {error}"
        raise TensorError(msg) from None
    return Tensor(name, flat.reshape(tuple(shape)))


def texts(items: Sequence[bytes]) -> Array:
    """Elements of BYTES as a flat array."""
    array = np.empty(len(items), object)
    array[:] = list(items)
    return array


def _elements(shape: Sequence[int]) -> int:
    if any(length < 0 for length in shape):
        msg = f"shape {list(shape)} has a negative length"
        raise TensorError(msg)
    return prod(shape)


def _split(raw: bytes) -> list[bytes]:
    items, position = [], 0
    while position < len(raw):
        if position + 4 > len(raw):
            break
        (length,) = struct.unpack_from("<I", raw, position)
        if position + 4 + length > len(raw):
            break
        items.append(raw[position + 4 : position + 4 + length])
        position += 4 + length
    if position != len(raw):
        msg = f"raw contents of {len(raw)} bytes break off within an element, at byte {position}"
        raise TensorError(msg)
    return items


def _widened(halves: Array) -> Array:
    return (halves.astype("<u4") << np.uint32(16)).view("<f4")


def _narrowed(array: Array) -> Array:
    """To nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(array, "<f4").reshape(-1).view("<u4")
    halves = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    halves = np.where(nan, (bits >> np.uint32(16)) | np.uint32(0x40), halves)
    return halves.astype("<u2").reshape(np.shape(array))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a history keeps of an answered tensor: `array` holds every `every`-th element, row by row.

    `every` is 0 where only the digest is kept: BYTES that are too long.
    """

    datatype: str
    shape: tuple[int, ...]
    array: Array
    every: int
    digest: str


def digest_of(tensor: Tensor) -> str:
    """A digest of the raw contents."""
    return hashlib.blake2b(to_raw(tensor), digest_size=12).hexdigest()


def keep(tensor: Tensor) -> dict[str, Any]:
    """A JSON value for the history."""
    raw, flat = to_raw(tensor), tensor.array.reshape(-1)
    kept = {
        "datatype": tensor.datatype,
        "shape": list(tensor.array.shape),
        "digest": hashlib.blake2b(raw, digest_size=12).hexdigest(),
    }
    if len(raw) <= KEPT:
        return {**kept, "data": b64encode(raw).decode()}
    if tensor.datatype == "BYTES":
        return {**kept, "every": 0}
    every = -(-len(raw) // KEPT)
    some = to_raw(Tensor(tensor.datatype, flat[::every]))
    return {**kept, "every": every, "data": b64encode(some).decode()}


def kept(found: Mapping[str, Any]) -> Kept:
    """The inverse of `keep`."""
    shape, every = tuple(found["shape"]), int(found.get("every", 1))
    count = -(-prod(shape) // every) if every else 0
    tensor = from_raw(found["datatype"], (count,), b64decode(found.get("data", "")))
    return Kept(
        datatype=tensor.datatype, shape=shape, array=tensor.array, every=every, digest=found["digest"]
    )
