"""Tensors: raw and typed contents of every datatype, and what a history keeps of them."""

import struct
from typing import Any

import numpy as np
import pytest

from harness.tensor_recipes import made
from harness.tensors import (
    DATATYPES,
    KEPT,
    Tensor,
    TensorError,
    digest_of,
    from_raw,
    from_values,
    keep,
    kept,
    rounded,
    to_raw,
)


def some(name: str, shape: str = "n, 3") -> Tensor:
    return made({"x": f"{name}[{shape}]"}, {}, 1, 2)["x"]


@pytest.mark.parametrize("name", DATATYPES)
def test_raw_contents_are_read_as_they_were_written(name: str) -> None:
    """Of every datatype, in the same shape."""
    tensor = some(name)
    again = from_raw(name, tensor.array.shape, to_raw(tensor))
    assert again.array.shape == tensor.array.shape
    assert again.array.tolist() == tensor.array.tolist()


@pytest.mark.parametrize(
    ("name", "value", "raw"),
    [
        ("INT32", -2, struct.pack("<i", -2)),
        ("UINT64", 2**63, struct.pack("<Q", 2**63)),
        ("FP16", 1.5, struct.pack("<e", 1.5)),
        ("BF16", 1.5, struct.pack("<f", 1.5)[2:]),
        ("BOOL", True, b"\x01"),
        ("BYTES", b"ab", b"\x02\x00\x00\x00ab"),
    ],
)
def test_raw_contents_are_the_protocols(name: str, value: Any, raw: bytes) -> None:
    """Little-endian; BF16 is the upper half of FP32; BYTES stand behind their length."""
    array = np.empty(1, DATATYPES[name].dtype)
    array[0] = value
    assert to_raw(Tensor(name, array)) == raw


def test_an_array_in_another_order_is_written_row_by_row() -> None:
    """Memory's order does not show."""
    array = np.arange(6, dtype=np.int8).reshape(2, 3).T
    assert to_raw(Tensor("INT8", array)) == bytes([0, 3, 1, 4, 2, 5])


def test_typed_contents_are_read_in_their_shape() -> None:
    """Numbers and bytes."""
    assert from_values("INT16", [2, 1], [1, -1]).array.tolist() == [[1], [-1]]
    assert from_values("BYTES", [2], [b"a", b""]).array.tolist() == [b"a", b""]


@pytest.mark.parametrize(
    ("name", "shape", "raw"),
    [
        ("INT32", [2], b"1234"),
        ("BYTES", [1], b"\x05\x00\x00\x00ab"),
        ("BYTES", [2], b"\x01\x00\x00\x00a"),
        ("INT8", [-1], b""),
        ("FLOAT", [1], b"1234"),
    ],
)
def test_contents_that_do_not_fit_are_told(name: str, shape: list[int], raw: bytes) -> None:
    """Too short, cut off, too few, a negative length, no datatype."""
    with pytest.raises(TensorError):
        from_raw(name, shape, raw)


@pytest.mark.parametrize("values", [[1], [1, 2, 3], [300, 1]])
def test_values_that_do_not_fit_are_told(values: list[int]) -> None:
    """Too few, too many, too large."""
    with pytest.raises(TensorError):
        from_values("INT8", [2], values)


@pytest.mark.parametrize("name", DATATYPES)
def test_a_small_tensor_is_kept_whole(name: str) -> None:
    """As JSON, and back."""
    tensor = some(name)
    again = kept(keep(tensor))
    assert (again.datatype, again.shape, again.every) == (name, tensor.array.shape, 1)
    assert again.array.tolist() == tensor.array.reshape(-1).tolist()


def test_of_a_large_tensor_every_nth_element_is_kept() -> None:
    """And a digest of all of it."""
    tensor = some("FP32", "100, 100")
    again = kept(keep(tensor))
    assert again.every == -(-tensor.array.nbytes // KEPT) > 1
    assert again.array.tolist() == tensor.array.reshape(-1)[:: again.every].tolist()
    assert again.digest == digest_of(tensor)


def test_of_large_texts_only_the_digest_is_kept() -> None:
    """Their elements cannot be counted off."""
    again = kept(keep(made({"x": "BYTES[100] 200..200"}, {}, 1, 1)["x"]))
    assert (again.every, again.array.size, again.shape) == (0, 0, (100,))


def test_no_number_stays_none_in_half_the_bits() -> None:
    """Rounding up the bits of a NaN would make a number of it."""
    nan = np.array([0x7FFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(from_raw("BF16", [1], to_raw(Tensor("BF16", nan))).array).all()


def test_rounding_is_the_datatypes() -> None:
    """BF16 keeps eight bits, to nearest with ties to even; too large is infinite; NaN stays."""
    assert rounded("BF16", np.array([1 + 2**-8, 1 + 3 * 2**-8])).tolist() == [1.0, 1 + 2**-6]
    assert rounded("FP16", np.array([1e6])).tolist() == [np.inf]
    assert np.isnan(rounded("BF16", np.array([np.nan]))).all()
