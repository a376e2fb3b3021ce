"""Named tensors in the messages of the Open Inference Protocol, and back. No I/O.

Payloads are not copied: raw contents of a large message are found by walking over its fields and handed out
as views, and are put behind a message without having been part of it.
"""

from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from system.datatypes import (
    DATATYPES,
    FIELDS,
    SMALL,
    Array,
    Datatype,
    Raw,
    TensorError,
    from_raw,
    from_values,
    named,
    to_raw,
    to_values,
)
from system.proto.inference_pb2 import ModelInferRequest, ModelInferResponse

RAW_FIELD = {ModelInferRequest: 7, ModelInferResponse: 6}
WALK_FROM = 32 * 1024  # bytes: below, parsing a message whole is faster than walking over it

Message = TypeVar("Message", ModelInferRequest, ModelInferResponse)
AnyTensor = ModelInferRequest.InferInputTensor | ModelInferResponse.InferOutputTensor


class Tensor(NamedTuple):
    """A tensor's values; its datatype is kept, since BF16 looks like FP32 to numpy."""

    datatype: str
    array: Array


def parse(kind: type[Message], data: bytes) -> tuple[Message, Sequence[Raw]]:
    """A message and its raw contents, which are views if it is large; raises DecodeError."""
    if len(data) < WALK_FROM:
        message = kind.FromString(data)
        return message, _raw_contents(message)
    rest, raws = _taken_out(data, RAW_FIELD[kind])
    return kind.FromString(rest), raws


def joined(message: ModelInferRequest | ModelInferResponse, raws: Sequence[Raw]) -> bytes:
    """The message with raw contents behind it: each payload is copied once, unless all are small."""
    small = [raw for raw in raws if type(raw) is bytes and len(raw) <= SMALL]
    if len(small) == len(raws):
        _raw_contents(message).extend(small)
        return message.SerializeToString()
    head = message.SerializeToString()
    tag = bytes([RAW_FIELD[type(message)] << 3 | 2])
    parts: list[Raw] = [head]
    for raw in raws:
        parts += (tag, _varint(len(raw)), raw)
    return b"".join(parts)


def read(what: str, tensors: Sequence[AnyTensor], raws: Sequence[Raw]) -> dict[str, Tensor]:
    """All tensors of a message by name; `what` is what messages call them: input or output."""
    if raws and len(raws) != len(tensors):
        msg = f"{len(raws)} raw contents for {len(tensors)} {what}s: give one for each {what}, in their order"
        raise TensorError(msg)
    found: dict[str, Tensor] = {}
    for tensor, raw in zip(tensors, raws or repeat(None), strict=False):
        name = tensor.name
        if name in found:
            msg = f"{what} {name!r} is given twice"
            raise TensorError(msg)
        try:
            found[name] = Tensor(tensor.datatype, _array(tensor, raw))
        except TensorError as error:
            msg = f"{what} {name!r}: {error}"
            raise TensorError(msg) from None
    return found


def write(
    message: ModelInferRequest | ModelInferResponse, tensors: Mapping[str, Tensor], *, raw: bool
) -> list[Raw]:
    """Add tensors to a message; returns their raw contents, which `joined` puts behind it.

    The protocol has one form a message. A datatype that has no typed contents makes all of them raw. A tensor
    of no datatype is empty.
    """
    raw = raw or any(datatype and named(datatype).field is None for datatype, _ in tensors.values())
    add = message.inputs.add if isinstance(message, ModelInferRequest) else message.outputs.add
    raws: list[Raw] = []
    for name, (datatype, array) in tensors.items():
        added: AnyTensor = add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            raws.append(to_raw(array, named(datatype)) if datatype else b"")
        elif datatype:
            kind = named(datatype)
            getattr(added.contents, kind.field or "").extend(to_values(array, kind))
    return raws


def _array(tensor: AnyTensor, raw: Raw | None) -> Array:
    datatype = DATATYPES.get(tensor.datatype) or (named(tensor.datatype) if tensor.datatype else None)
    if datatype is None:
        return _untyped(tensor, raw)
    if raw is not None:
        if tensor.HasField("contents") and tensor.contents.ListFields():
            msg = "contents and raw contents are both given: give one"
            raise TensorError(msg)
        return from_raw(datatype, tensor.shape, raw)
    return from_values(datatype, tensor.shape, _values(tensor, datatype))


def _values(tensor: AnyTensor, datatype: Datatype) -> Sequence[Any]:
    if datatype.field is None:
        msg = f"{datatype.name} has no typed contents: give raw contents"
        raise TensorError(msg)
    values: Sequence[Any] = getattr(tensor.contents, datatype.field)
    if not values or len(tensor.contents.ListFields()) > 1:
        filled = [field for field in FIELDS if getattr(tensor.contents, field)]
        if any(field != datatype.field for field in filled):
            msg = f"{datatype.name} belongs into {datatype.field}, but {', '.join(filled)} is filled"
            raise TensorError(msg)
    return values


def _untyped(tensor: AnyTensor, raw: Raw | None) -> Array:
    """Nothing, of no type: what the seed's client sends for an empty list."""
    if raw or tensor.contents.ListFields() or list(tensor.shape) not in ([], [0]):
        msg = "has no datatype"
        raise TensorError(msg)
    return from_values(named("FP32"), [0], [])


def _raw_contents(message: ModelInferRequest | ModelInferResponse) -> MutableSequence[bytes]:
    if isinstance(message, ModelInferRequest):
        return message.raw_input_contents
    return message.raw_output_contents


def _taken_out(data: bytes, number: int) -> tuple[bytes, list[Raw]]:
    """The message without its fields of that number, and these fields."""
    view = memoryview(data)
    kept: list[memoryview] = []
    raws: list[Raw] = []
    for field, start, payload, end in _fields(data):
        if field == number and payload is not None:
            raws.append(view[payload:end])
        else:
            kept.append(view[start:end])
    return b"".join(kept), raws


_FIXED = {1: 8, 5: 4}


def _fields(data: bytes) -> Iterator[tuple[int, int, int | None, int]]:
    """The fields on the top floor: number, start, start of the payload if it has a length, end."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _read_varint(data, position)
        payload: int | None = None
        match tag & 7:
            case 0:
                _, position = _read_varint(data, position)
            case 2:
                length, payload = _read_varint(data, position)
                position = payload + length
            case wire if wire in _FIXED:
                position += _FIXED[wire]
            case wire:
                msg = f"wire type {wire} at byte {start}"
                raise DecodeError(msg)
        if position > len(data):
            msg = f"the field at byte {start} ends beyond the message"
            raise DecodeError(msg)
        yield tag >> 3, start, payload, position


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    msg = "a number without an end"
    raise DecodeError(msg)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
