"""Requests and responses as handlers of the whole request see them: the objects of the seed's worker.

Every datatype can be read and written, not only the seed's three; `tensor.array` is the same as numpy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from system.datatypes import FIELDS, Array, datatype_of, from_values, named, to_values
from system.tensors import Tensor


@dataclass(slots=True)
class InferTensorContents:
    """Values one by one; the field that belongs to the datatype is filled."""

    bool_contents: list[bool] = field(default_factory=list)
    int_contents: list[int] = field(default_factory=list)
    int64_contents: list[int] = field(default_factory=list)
    uint_contents: list[int] = field(default_factory=list)
    uint64_contents: list[int] = field(default_factory=list)
    fp32_contents: list[float] = field(default_factory=list)
    fp64_contents: list[float] = field(default_factory=list)
    bytes_contents: list[bytes] = field(default_factory=list)


class _Tensor:
    """A named tensor, as values and as an array."""

    def __init__(
        self,
        name: str,
        datatype: str = "",
        shape: Sequence[int] = (),
        contents: InferTensorContents | None = None,
        *,
        array: Array | None = None,
    ) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = list(shape)
        self._contents = contents
        self._array = array

    @property
    def contents(self) -> InferTensorContents:
        """The values; FP16 and BF16 stand in fp32_contents, which holds them exactly."""
        if self._contents is None:
            self._contents = InferTensorContents()
            if self._array is not None:
                datatype = named(self.datatype)
                values = to_values(self._array, datatype)
                setattr(self._contents, datatype.field or "fp32_contents", values)
        return self._contents

    @contents.setter
    def contents(self, contents: InferTensorContents) -> None:
        self._contents, self._array = contents, None

    @property
    def array(self) -> Array:
        """The values as numpy."""
        if self._array is not None:
            return self._array
        datatype = named(self.datatype)
        return from_values(datatype, self.shape, getattr(self.contents, datatype.field or "fp32_contents"))

    @property
    def int_contents(self) -> list[int]:
        return self.contents.int_contents

    @property
    def bytes_contents(self) -> list[bytes]:
        return self.contents.bytes_contents

    @property
    def fp32_contents(self) -> list[float]:
        return self.contents.fp32_contents


class InferInputTensor(_Tensor):
    """An input."""


class InferOutputTensor(_Tensor):
    """An output."""


@dataclass(slots=True)
class ModelInferRequest:
    """A call."""

    model_name: str
    model_version: str = ""
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: list[InferInputTensor] = field(default_factory=list)

    def get_input(self, name: str) -> InferInputTensor | None:
        """The input of that name, if there is one."""
        return next((tensor for tensor in self.inputs if tensor.name == name), None)


@dataclass(slots=True)
class ModelInferResponse:
    """An answer. `error` makes it a failure with that text; id and names default to the request's."""

    model_name: str = ""
    id: str = ""
    model_version: str = ""
    parameters: Mapping[str, Any] | None = None
    outputs: list[InferOutputTensor] | None = None
    error: str | None = None

    def add_output(
        self,
        name: str,
        datatype: str = "",
        shape: Sequence[int] = (),
        *,
        array: Array | None = None,
        **contents: Sequence[Any],
    ) -> InferOutputTensor:
        """Add an output, of an array or of `int_contents=[...]` and the like, and return it."""
        unknown = contents.keys() - set(FIELDS)
        if unknown:
            msg = f"there is no {min(unknown)}; there are {', '.join(FIELDS)}"
            raise TypeError(msg)
        if array is not None:
            datatype, shape = datatype or datatype_of(array.dtype).name, shape or array.shape
        values = (
            InferTensorContents(**{key: list(value) for key, value in contents.items()}) if contents else None
        )
        tensor = InferOutputTensor(name, datatype, shape, values, array=array)
        self.outputs = [*(self.outputs or []), tensor]
        return tensor

    def get_output(self, name: str) -> InferOutputTensor | None:
        """The output of that name, if there is one."""
        return next((tensor for tensor in self.outputs or [] if tensor.name == name), None)

    def tensors(self) -> dict[str, Tensor]:
        """The outputs by name."""
        return {tensor.name: Tensor(tensor.datatype, tensor.array) for tensor in self.outputs or []}
