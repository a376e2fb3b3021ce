"""Tensors in messages: every datatype, any shape, typed and raw, and every way to be wrong."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from system.datatypes import BF16, DATATYPES, Array, Datatype, TensorError, datatype_of, from_raw, to_raw
from system.proto.inference_pb2 import ModelInferRequest
from system.tensors import WALK_FROM, Tensor, joined, parse, read, write

TYPED = [name for name, datatype in DATATYPES.items() if datatype.field]
SHAPES = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def tensors(draw: st.DrawFn, names: list[str]) -> Tensor:
    """Any tensor of one of these datatypes: any bits that the datatype can have."""
    datatype = DATATYPES[draw(st.sampled_from(names))]
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    if datatype.name == "BYTES":
        array = np.empty(count, object)
        array[:] = draw(st.lists(st.binary(max_size=6), min_size=count, max_size=count))
        return Tensor("BYTES", array.reshape(shape))
    if datatype.name == "BOOL":
        bits = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        return Tensor("BOOL", np.array(bits, bool).reshape(shape))
    raw = draw(st.binary(min_size=count * datatype.size, max_size=count * datatype.size))
    return Tensor(datatype.name, from_raw(datatype, shape, raw))


def same(one: Tensor, other: Tensor) -> bool:
    return (
        one.datatype == other.datatype
        and one.array.shape == other.array.shape
        and one.array.dtype == other.array.dtype
        and np.array_equal(one.array, other.array, equal_nan=one.array.dtype.kind == "f")
    )


def sent(tensors: dict[str, Tensor], *, raw: bool, padding: int = 0) -> dict[str, Tensor]:
    """What arrives when these tensors go over the wire."""
    message = ModelInferRequest(model_name="m" * padding)
    data = joined(message, write(message, tensors, raw=raw))
    arrived, raws = parse(ModelInferRequest, data)
    assert len(raws) == (len(tensors) if raw else 0)
    return read("input", arrived.inputs, raws)


@settings(deadline=None)
@given(st.lists(tensors(list(DATATYPES)), max_size=3), st.sampled_from([0, WALK_FROM]))
def test_raw_contents_come_back_as_they_went(given: list[Tensor], padding: int) -> None:
    """Any tensors of any datatypes and shapes, in messages that are parsed whole or walked over."""
    named = {f"t{number}": tensor for number, tensor in enumerate(given)}
    arrived = sent(named, raw=True, padding=padding)
    assert list(arrived) == list(named)
    assert all(same(arrived[name], named[name]) for name in named)


@settings(deadline=None)
@given(st.lists(tensors(TYPED), max_size=3))
def test_typed_contents_come_back_as_they_went(given: list[Tensor]) -> None:
    """Any tensors that have typed contents."""
    named = {f"t{number}": tensor for number, tensor in enumerate(given)}
    arrived = sent(named, raw=False)
    assert all(same(arrived[name], named[name]) for name in named)


def test_one_datatype_without_typed_contents_makes_all_raw() -> None:
    """FP16 can only be sent raw, and the protocol knows one form a message."""
    message = ModelInferRequest()
    given = {
        "a": Tensor("INT32", np.array([1], np.int32)),
        "b": Tensor("FP16", np.array([1.5], np.float16)),
    }
    raws = write(message, given, raw=False)
    assert [bytes(raw) for raw in raws] == [b"\x01\0\0\0", b"\0\x3e"]
    assert not message.inputs[0].HasField("contents")


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("?", "BOOL"),
        ("<i2", "INT16"),
        (">i4", "INT32"),
        ("<u8", "UINT64"),
        ("<f2", "FP16"),
        (">f8", "FP64"),
        ("S3", "BYTES"),
        ("U3", "BYTES"),
        ("O", "BYTES"),
    ],
)
def test_every_dtype_has_its_datatype(dtype: str, name: str) -> None:
    """Byte order does not matter; text and objects are BYTES."""
    assert datatype_of(np.dtype(dtype)).name == name


def test_a_dtype_without_datatype_is_refused() -> None:
    """Complex numbers are not in the protocol, and the message says what is."""
    with pytest.raises(TensorError, match=r"complex128 has no datatype.*FP64"):
        datatype_of(np.dtype(complex))


@pytest.mark.parametrize("array", [np.arange(6, dtype=">i4").reshape(2, 3), np.arange(12, dtype="<i4")[::2]])
def test_byte_order_and_strides_do_not_show(array: Array) -> None:
    """Big-endian and strided arrays are written as little-endian rows."""
    datatype = datatype_of(array.dtype)
    back = from_raw(datatype, array.shape, bytes(to_raw(array, datatype)))
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.0, 0x3F80),
        (-2.5, 0xC020),
        (1.00390625, 0x3F80),  # half-way: to even, down
        (1.01171875, 0x3F82),  # half-way: to even, up
        (float("inf"), 0x7F80),
        (3.4e38, 0x7F80),
    ],
)
def test_bf16_rounds_to_nearest_even(value: float, bits: int) -> None:
    """Narrowing rounds as hardware does."""
    assert bytes(to_raw(np.array([value], np.float32), BF16)) == bits.to_bytes(2, "little")


def test_bf16_keeps_nan() -> None:
    """A NaN whose payload is only in the lower half does not become infinity."""
    nan = np.array([0x7F800001, 0x7FFFFFFF], "<u4").view("<f4")
    assert np.isnan(from_raw(BF16, [2], bytes(to_raw(nan, BF16)))).all()


def tensor(datatype: str, shape: list[int], **contents: Any) -> Any:
    return ModelInferRequest.InferInputTensor(name="a", datatype=datatype, shape=shape, contents=contents)


@pytest.mark.parametrize(
    ("given", "raws", "says"),
    [
        (tensor("INT32", [2], int_contents=[1]), [], "input 'a': 1 values, but 2 are wanted for shape [2]"),
        (tensor("INT32", [-1], int_contents=[1]), [], "shape [-1] has a negative length"),
        (tensor("INT99", [1], int_contents=[1]), [], "there is no datatype 'INT99'"),
        (
            tensor("FP32", [1], int_contents=[1]),
            [],
            "FP32 belongs into fp32_contents, but int_contents is fil",
        ),
        (tensor("INT8", [1], int_contents=[200]), [], "200 is not within INT8, which goes from -128 to 127"),
        (tensor("FP16", [1], fp32_contents=[1]), [], "FP16 has no typed contents: give raw contents"),
        (tensor("INT32", [1], int_contents=[1]), [b"1234"], "contents and raw contents are both given"),
        (tensor("INT32", [2]), [b"1234"], "4 bytes of raw contents, but 8 are wanted for INT32 of shape [2]"),
        (tensor("BYTES", [2]), [b"\1\0\0\0a"], "1 were read, 0 bytes are left"),
        (tensor("BYTES", [1]), [b"\xff\xff\xff\xffa"], "0 were read, 5 bytes are left"),
        (tensor("INT32", [1]), [b"1234", b""], "2 raw contents for 1 inputs"),
        (tensor("INT32", [0] * 70), [b""], "beyond what numpy can hold"),
        (tensor("", [1], int_contents=[1]), [], "has no datatype"),
    ],
)
def test_a_wrong_tensor_is_named_with_what_was_wanted(given: Any, raws: list[bytes], says: str) -> None:
    """Each mistake has words of its own."""
    with pytest.raises(TensorError) as error:
        read("input", [given], raws)
    assert says in str(error.value)


def test_a_tensor_given_twice_is_refused() -> None:
    """Nobody can say which of the two is meant."""
    one = tensor("INT32", [1], int_contents=[1])
    with pytest.raises(TensorError, match="'a' is given twice"):
        read("input", [one, one], [])


def test_an_empty_list_needs_no_datatype() -> None:
    """The seed's client cannot know the type of nothing."""
    assert read("input", [tensor("", [0])], [])["a"].array.size == 0


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_message_or_refused(data: bytes) -> None:
    """Walking over garbage ends, with the same verdict as parsing it or a refusal."""
    padded = b"\x0a\xff\xff\x02" + b"m" * 0xBFFF + data  # a model_name in front makes it large
    try:
        _, raws = parse(ModelInferRequest, padded)
    except DecodeError:
        return
    assert [bytes(raw) for raw in raws] == list(ModelInferRequest.FromString(padded).raw_input_contents)


def test_a_large_payload_is_copied_once_on_its_way_in_and_out() -> None:
    """Reading gives a view of what arrived; writing puts it into the message that is sent."""
    payload = np.ones(4_000_000, np.float32)
    message = ModelInferRequest()
    data = joined(message, write(message, {"a": Tensor("FP32", payload)}, raw=True))
    tracemalloc.start()
    arrived, raws = parse(ModelInferRequest, data)
    array = read("input", arrived.inputs, raws)["a"].array
    assert tracemalloc.get_traced_memory()[1] < payload.nbytes / 10
    answer = ModelInferRequest()
    out = joined(answer, write(answer, {"a": Tensor("FP32", array)}, raw=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * payload.nbytes
    assert len(out) == len(data)


@pytest.mark.parametrize("datatype", DATATYPES.values(), ids=str)
def test_arrays_of_raw_contents_are_views(datatype: Datatype) -> None:
    """Whatever numpy can hold as it is, is not copied."""
    if datatype.name in ("BYTES", "BF16"):
        return
    raw = bytes(8 * datatype.size)
    assert (
        from_raw(datatype, [8], raw).__array_interface__["data"][0]
        == np.frombuffer(raw, np.uint8).__array_interface__["data"][0]
    )
