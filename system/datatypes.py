"""The datatypes of the Open Inference Protocol, and their elements as numpy arrays and back. No I/O.

BF16 is float32 to numpy: widening is exact, narrowing rounds to nearest, ties to even. BYTES are arrays of
objects, each `bytes`. Arrays made from raw contents are read-only views of them wherever that is possible.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Raw = bytes | memoryview


class TensorError(ValueError):
    """A tensor that is not what it says it is; says what it is and what was wanted."""


@dataclass(frozen=True, slots=True)
class Datatype:
    """A datatype: how arrays hold it, and in which field of InferTensorContents its values stand."""

    name: str
    dtype: np.dtype[Any]
    field: str | None  # None: raw contents only
    size: int  # bytes of an element in raw contents; 0: each has its own


def _plain(name: str, numpy_name: str, field: str | None) -> Datatype:
    dtype = np.dtype(numpy_name).newbyteorder("<")
    return Datatype(name, dtype, field, dtype.itemsize)


BYTES = Datatype("BYTES", np.dtype(object), "bytes_contents", 0)
BF16 = Datatype("BF16", np.dtype("<f4"), None, 2)
DATATYPES: Mapping[str, Datatype] = {
    datatype.name: datatype
    for datatype in (
        _plain("BOOL", "bool", "bool_contents"),
        _plain("INT8", "int8", "int_contents"),
        _plain("INT16", "int16", "int_contents"),
        _plain("INT32", "int32", "int_contents"),
        _plain("INT64", "int64", "int64_contents"),
        _plain("UINT8", "uint8", "uint_contents"),
        _plain("UINT16", "uint16", "uint_contents"),
        _plain("UINT32", "uint32", "uint_contents"),
        _plain("UINT64", "uint64", "uint64_contents"),
        _plain("FP16", "float16", None),
        _plain("FP32", "float32", "fp32_contents"),
        _plain("FP64", "float64", "fp64_contents"),
        BF16,
        BYTES,
    )
}
FIELDS = tuple(sorted({datatype.field for datatype in DATATYPES.values() if datatype.field}))

_BY_KIND = {
    (datatype.dtype.kind, datatype.dtype.itemsize): datatype
    for datatype in DATATYPES.values()
    if datatype not in (BF16, BYTES)
}
_BY_DTYPE = {datatype.dtype: datatype for datatype in _BY_KIND.values()}
SMALL = 4096  # bytes: copying so few is faster than making a view


def named(name: str) -> Datatype:
    """The datatype of a name."""
    try:
        return DATATYPES[name]
    except KeyError:
        msg = f"there is no datatype {name!r}; there are {', '.join(DATATYPES)}"
        raise TensorError(msg) from None


def datatype_of(dtype: np.dtype[Any]) -> Datatype:
    """The datatype that holds arrays of a dtype."""
    found = _BY_DTYPE.get(dtype)
    return _of_unusual(dtype) if found is None else found


def _of_unusual(dtype: np.dtype[Any]) -> Datatype:
    if dtype.kind in "SUO":
        return BYTES
    if dtype.name == "bfloat16":  # as the ml_dtypes package calls it
        return BF16
    try:
        return _BY_KIND[dtype.kind, dtype.itemsize]
    except KeyError:
        msg = f"numpy's {dtype} has no datatype in the protocol; convert it to one of {', '.join(DATATYPES)}"
        raise TensorError(msg) from None


def from_raw(datatype: Datatype, shape: Sequence[int], raw: Raw) -> Array:
    """The array of raw contents."""
    count = shape[0] if len(shape) == 1 and shape[0] >= 0 else elements(shape)
    if datatype is BYTES:
        return shaped(_split(raw, count), shape)
    if len(raw) != count * datatype.size:
        msg = (
            f"{len(raw)} bytes of raw contents, but {count * datatype.size} are wanted for "
            f"{datatype.name} of shape {list(shape)}"
        )
        raise TensorError(msg)
    if datatype is BF16:
        return shaped(_widened(np.frombuffer(raw, "<u2")), shape)
    flat = np.frombuffer(raw, datatype.dtype)
    return flat if len(shape) == 1 else shaped(flat, shape)


def to_raw(array: Array, datatype: Datatype) -> Raw:
    """The raw contents of an array; a view of it if it is contiguous."""
    if datatype is BYTES:
        return b"".join(part for item in _as_bytes(array) for part in (struct.pack("<I", len(item)), item))
    if datatype is BF16:
        return _bytes_of(_narrowed(array))
    return _bytes_of(array if array.dtype is datatype.dtype else array.astype(datatype.dtype, copy=False))


def from_values(datatype: Datatype, shape: Sequence[int], values: Sequence[Any]) -> Array:
    """The array of typed contents."""
    count = elements(shape)
    if len(values) != count:
        msg = f"{len(values)} values, but {count} are wanted for shape {list(shape)}"
        raise TensorError(msg)
    if datatype is BYTES:
        return shaped(_objects(values), shape)
    if datatype.field in ("int_contents", "uint_contents") and datatype.size < 4:
        _check_range(datatype, values)
    return shaped(np.fromiter(values, datatype.dtype, count), shape)


def to_values(array: Array, datatype: Datatype) -> list[Any]:
    """The typed contents of an array, row by row."""
    if datatype is BYTES:
        return list(_as_bytes(array))
    return array.astype(datatype.dtype, copy=False).ravel().tolist()


def elements(shape: Sequence[int]) -> int:
    """How many elements a shape has."""
    if shape and min(shape) < 0:
        msg = f"shape {list(shape)} has a negative length"
        raise TensorError(msg)
    return prod(shape)


def shaped(flat: Array, shape: Sequence[int]) -> Array:
    """A flat array in its shape."""
    try:
        return flat.reshape(tuple(shape))
    except ValueError as error:
        msg = f"shape {list(shape)} is beyond what numpy can hold: {error}"
        raise TensorError(msg) from None


def _check_range(datatype: Datatype, values: Iterable[int]) -> None:
    limits = np.iinfo(datatype.dtype)
    for value in values:
        if not limits.min <= value <= limits.max:
            msg = f"{value} is not within {datatype.name}, which goes from {limits.min} to {limits.max}"
            raise TensorError(msg)


def _objects(items: Sequence[bytes]) -> Array:
    array = np.empty(len(items), object)
    array[:] = list(items)
    return array


def _split(raw: Raw, count: int) -> Array:
    """The elements of BYTES: each behind its length."""
    items: list[bytes] = []
    position = 0
    while position < len(raw) and len(items) < count:
        if position + 4 > len(raw):
            break
        (length,) = struct.unpack_from("<I", raw, position)
        if position + 4 + length > len(raw):
            break
        items.append(bytes(raw[position + 4 : position + 4 + length]))
        position += 4 + length
    if position != len(raw) or len(items) != count:
        msg = (
            f"raw contents of {len(raw)} bytes do not divide into the {count} elements wanted: each is a "
            f"little-endian length in 4 bytes and so many bytes; {len(items)} were read, "
            f"{len(raw) - position} bytes are left"
        )
        raise TensorError(msg)
    return _objects(items)


def _as_bytes(array: Array) -> Iterable[bytes]:
    for item in array.ravel().tolist():
        if isinstance(item, bytes):
            yield item
        elif isinstance(item, str):
            yield item.encode()
        else:
            msg = f"an element of BYTES is bytes or text, not {type(item).__name__}"
            raise TensorError(msg)


def _widened(halves: NDArray[np.uint16]) -> Array:
    return (halves.astype("<u4") << np.uint32(16)).view("<f4")


def _narrowed(array: Array) -> NDArray[np.uint16]:
    if array.dtype.name == "bfloat16":
        return array.view(np.uint16)
    # ravel: a scalar's bits cannot be shifted in place
    bits = array.astype("<f4").ravel().view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    # Rounding up the payload of a NaN could carry it into infinity: keep it a quiet NaN instead.
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(is_nan, (bits >> np.uint32(16)) | np.uint32(0x40), rounded).astype("<u2")


def _bytes_of(array: Array) -> Raw:
    if array.nbytes < SMALL:
        return array.tobytes()
    return array.ravel().view(np.uint8).data
