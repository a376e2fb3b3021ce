"""What a handler's annotations say about its tensors. No I/O.

`a: NDArray[np.int32]` is INT32 of any shape, `a: np.ndarray` any datatype, `Annotated[NDArray[np.float32],
Shape(-1, 3)]` also fixes the shape, a default makes an input optional, and `context: Context` is the call's
context. What is returned is declared by `-> Outputs(product=np.int32)`, by `-> Annotated[dict[str, Any],
Outputs(...)]`, or by a TypedDict. A handler without any such annotation takes the request as a whole.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np

from system.datatypes import BF16, BYTES, TensorError, datatype_of
from system.worker.context import Context


class bfloat16(np.float32):  # noqa: N801 - numpy's own names for types are lower case
    """`NDArray[bfloat16]` declares BF16; the arrays themselves are float32."""


class Shape(tuple[int, ...]):
    """Lengths, of which -1 is any: `Annotated[NDArray[np.float32], Shape(-1, 3)]`."""

    __slots__ = ()

    def __new__(cls, *lengths: int) -> Self:
        return super().__new__(cls, lengths)


class Outputs:
    """A handler's outputs by name: `Outputs(product=np.int32)`; whatever may annotate an input is fit."""

    def __init__(self, **annotations: Any) -> None:
        self.specs = {name: spec_of(f"output {name!r}", one) for name, one in annotations.items()}


class DeclarationError(TypeError):
    """Annotations that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What is declared about a tensor; None stands for any."""

    datatype: str | None = None
    shape: Shape | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A handler's inputs and outputs; `outputs` is None where nothing is declared."""

    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec] | None
    context: str | None = None


def signature_of(function: Callable[..., Any]) -> Signature | None:
    """The declared signature, or None for a handler that takes the request as a whole."""
    parameters = inspect.signature(function).parameters
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        msg = f"{function.__qualname__}: an annotation names what its module does not know: {error}"
        raise DeclarationError(msg) from None
    returned = _returned(hints.get("return"))
    if parameters and returned is None and not any(_is_array(hints.get(name)) for name in parameters):
        return None
    inputs: dict[str, Spec] = {}
    context = None
    for name, parameter in parameters.items():
        if hints.get(name) is Context:
            context = name
            continue
        if name not in hints:
            msg = f"{function.__qualname__}: parameter {name!r} has no annotation; np.ndarray is any datatype"
            raise DeclarationError(msg)
        spec = spec_of(f"{function.__qualname__}: parameter {name!r}", _without_none(hints[name]))
        inputs[name] = Spec(spec.datatype, spec.shape, parameter.default is not parameter.empty)
    return Signature(inputs=inputs, outputs=returned, context=context)


def spec_of(where: str, annotation: Any) -> Spec:
    """The spec of an annotation: a numpy type, an array type, or one of them with a Shape."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        shape = next((mark for mark in marks if isinstance(mark, Shape)), None)
        return Spec(spec_of(where, base).datatype, shape)
    annotation = _scalar(annotation)
    if annotation is Any:
        return Spec()
    try:
        return Spec(_datatype(annotation))
    except (TypeError, TensorError) as error:
        msg = (
            f"{where}: {annotation!r} does not declare a tensor ({error}); write NDArray[np.float32] or such"
        )
        raise DeclarationError(msg) from None


def _scalar(annotation: Any) -> Any:
    """The element type of an array type; Any where it says nothing."""
    if annotation is np.ndarray:
        return Any
    if get_origin(annotation) is np.ndarray:
        dtype = get_args(annotation)[1:]
        return next(iter(get_args(dtype[0])), Any) if dtype else Any
    return annotation


def _without_none(annotation: Any) -> Any:
    """What an optional parameter is when it is given."""
    if get_origin(annotation) in (Union, UnionType):
        return next(one for one in get_args(annotation) if one is not type(None))
    return annotation


def _datatype(scalar: Any) -> str:
    if scalar is bfloat16:
        return BF16.name
    if not (isinstance(scalar, type) and issubclass(scalar, np.generic)):
        msg = "not a numpy type"
        raise TypeError(msg)
    return BYTES.name if issubclass(scalar, np.object_) else datatype_of(np.dtype(scalar)).name


def _is_array(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation is np.ndarray or get_origin(annotation) is np.ndarray


def _returned(annotation: Any) -> Mapping[str, Spec] | None:
    """The outputs that a return annotation declares, also inside Annotated, Iterator and the like."""
    if isinstance(annotation, Outputs):
        return annotation.specs
    if is_typeddict(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        return {name: spec_of(f"output {name!r}", hint) for name, hint in hints.items()}
    for argument in get_args(annotation) if not _is_array(annotation) else ():
        if (found := _returned(argument)) is not None:
            return found
    return None
