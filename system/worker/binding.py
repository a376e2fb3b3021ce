"""Tensors to a handler's arguments, and what it returned to tensors, by its signature. No I/O."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from system.config import did_you_mean
from system.datatypes import DATATYPES, Array, Datatype, TensorError, datatype_of
from system.tensors import Tensor
from system.worker.declared import Shape, Signature, Spec


class BadInput(ValueError):
    """The caller sent what the handler does not take."""


class BadOutput(ValueError):
    """The handler returned what it had not declared."""


def bind(signature: Signature, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The handler's arguments; raises BadInput that names the tensor, what it is and what is wanted."""
    arguments: dict[str, Any] = {}
    for name, spec in signature.inputs.items():
        tensor = tensors.get(name)
        if tensor is not None:
            if spec.datatype == tensor.datatype and spec.shape is None:
                arguments[name] = tensor.array
            else:
                arguments[name] = _checked(name, spec, tensor)
        elif not spec.optional:
            msg = f"input {name!r} is missing: {_takes(signature)}"
            raise BadInput(msg)
    if len(arguments) < len(tensors):
        name = next(name for name in tensors if name not in signature.inputs)
        msg = f"there is no input {name!r}{did_you_mean(name, list(signature.inputs))}: {_takes(signature)}"
        raise BadInput(msg)
    return arguments


def _takes(signature: Signature) -> str:
    shown = [
        f"{name} ({spec.datatype or 'any datatype'}{', optional' if spec.optional else ''})"
        for name, spec in signature.inputs.items()
    ]
    return f"the inputs are {', '.join(shown)}" if shown else "it takes no inputs"


def _checked(name: str, spec: Spec, tensor: Tensor) -> Array:
    datatype, array = tensor
    if not datatype:
        if spec.datatype is None:
            msg = f"input {name!r} has no datatype, and the handler does not declare one"
            raise BadInput(msg)
        array = array.astype(DATATYPES[spec.datatype].dtype)
    elif spec.datatype not in (None, datatype):
        msg = f"input {name!r} is {datatype}, but {spec.datatype} is wanted"
        raise BadInput(msg)
    if spec.shape is not None and not _fits(array.shape, spec.shape):
        msg = (
            f"input {name!r} has shape {list(array.shape)}, but {list(spec.shape)} is wanted (-1: any length)"
        )
        raise BadInput(msg)
    return array


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        want in (-1, length) for want, length in zip(wanted, shape, strict=True)
    )


def collect(outputs: Mapping[str, Spec] | None, result: Any) -> dict[str, Tensor]:
    """What a handler returned as tensors of the declared datatypes; raises BadOutput."""
    if outputs is None:
        return {name: _typed(name, value) for name, value in _mapping(result).items()}
    if len(outputs) == 1 and not isinstance(result, Mapping):
        result = {next(iter(outputs)): result}
    given = _mapping(result)
    wrong = sorted(outputs.keys() ^ given.keys())
    if wrong:
        what = "is missing" if wrong[0] in outputs else "was not declared"
        msg = (
            f"output {wrong[0]!r} {what}: declared are {', '.join(outputs)}; returned were {', '.join(given)}"
        )
        raise BadOutput(msg)
    return {name: _cast(name, spec, given[name]) for name, spec in outputs.items()}


def chosen(tensors: dict[str, Tensor], requested: Sequence[str]) -> dict[str, Tensor]:
    """The outputs that a caller asked for, all of them if it did not say."""
    if not requested:
        return tensors
    unknown = next((name for name in requested if name not in tensors), None)
    if unknown is not None:
        raise BadInput(no_output(unknown, tensors))
    return {name: tensors[name] for name in requested}


def no_output(name: str, known: Collection[str]) -> str:
    hint = did_you_mean(name, list(known))
    return f"there is no output {name!r}{hint}: the outputs are {', '.join(known)}"


def _mapping(result: Any) -> Mapping[str, Any]:
    if type(result) is dict or isinstance(result, Mapping):
        return result
    msg = f"the handler returned {type(result).__name__}, not outputs by name"
    raise BadOutput(msg)


def _typed(name: str, value: Any) -> Tensor:
    array = value if type(value) is np.ndarray else np.asarray(value)
    try:
        return Tensor(datatype_of(array.dtype).name, array)
    except TensorError as error:
        msg = f"output {name!r}: {error}"
        raise BadOutput(msg) from None


def _cast(name: str, spec: Spec, value: Any) -> Tensor:
    if spec.datatype is None:
        tensor = _typed(name, value)
    else:
        tensor = Tensor(spec.datatype, _of_datatype(name, DATATYPES[spec.datatype], value))
    if spec.shape is not None and not _fits(tensor.array.shape, spec.shape):
        msg = f"output {name!r} has shape {list(tensor.array.shape)}, declared is {list(spec.shape)}"
        raise BadOutput(msg)
    return tensor


def _of_datatype(name: str, datatype: Datatype, value: Any) -> Array:
    if isinstance(value, np.ndarray) and value.dtype == datatype.dtype:
        return value
    if not isinstance(value, np.ndarray | np.generic):
        try:
            return np.asarray(value, datatype.dtype)
        except (ValueError, TypeError, OverflowError) as error:
            msg = f"output {name!r} does not become {datatype.name}: {error}"
            raise BadOutput(msg) from None
    array = np.asarray(value)
    if not _keeps_its_values(array, datatype.dtype):
        msg = (
            f"output {name!r} is numpy's {array.dtype}, not all of which fits "
            f"the declared {datatype.name}; convert it in the handler or declare another"
        )
        raise BadOutput(msg)
    return array  # system.tensors writes it as the datatype


def _keeps_its_values(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a cast changes nothing but precision. Integers that do not fit would wrap around silently."""
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return array.size == 0 or (limits.min <= int(array.min()) and int(array.max()) <= limits.max)
    return array.dtype.name == "bfloat16" or np.can_cast(array.dtype, dtype, "same_kind")
