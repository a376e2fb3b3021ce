"""Which handler answers, and what annotations declare."""

from typing import Annotated, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from system.tensors import Tensor
from system.worker import Context, DeclarationError, ModelInferRequest, Outputs, Shape, Worker, bfloat16
from system.worker.binding import BadOutput, collect
from system.worker.capabilities import UnknownModel
from system.worker.declared import Spec, signature_of, spec_of

worker = Worker()


def handler(name: str) -> Any:
    def answer(request: Any) -> None: ...

    answer.__name__ = name
    return answer


HANDLERS: dict[str, dict[str, Any]] = {
    "plain": {"type": "chat"},
    "qwen": {"type": "chat", "model": "qwen2"},
    "late": {"type": "chat"},
    "v1": {"type": "classifier", "version": "v1"},
    "modelled": {"type": "embed", "model": 2},
    "typeless": {"model": "llama"},
}
for name, attributes in HANDLERS.items():
    worker.capability(**attributes)(handler(name))


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [
        ("chat", "", "plain"),
        ("chat", "qwen2", "qwen"),
        ("chat", "other", "plain"),
        ("classifier", "v1", "v1"),
        ("embed", "", "modelled"),
        ("embed", "2", "modelled"),
        ("llama", "", "typeless"),
    ],
)
def test_a_call_goes_to_the_handler_of_its_name_and_version(model: str, version: str, expected: str) -> None:
    """`type` is the name, `model` the version; a handler without one answers for any."""
    assert worker.capabilities.find(model, version).function.__name__ == expected


def test_a_version_that_nobody_has_is_not_found() -> None:
    """With the versions that there are."""
    with pytest.raises(UnknownModel, match="Model 'embed:3' not found; versions of embed are 2"):
        worker.capabilities.find("embed", "3")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (np.int8, Spec("INT8")),
        (NDArray[np.bool_], Spec("BOOL")),
        (NDArray[np.object_], Spec("BYTES")),
        (NDArray[np.bytes_], Spec("BYTES")),
        (NDArray[bfloat16], Spec("BF16")),
        (NDArray[Any], Spec()),
        (np.ndarray, Spec()),
        (Annotated[NDArray[np.float64], Shape(2, -1)], Spec("FP64", Shape(2, -1))),
    ],
)
def test_what_an_annotation_declares(annotation: Any, expected: Spec) -> None:
    """A datatype, or any; a shape, or any."""
    assert spec_of("x", annotation) == expected


def test_what_is_no_tensor_is_refused() -> None:
    """Where it is declared, with what to write."""

    def wrong(a: NDArray[np.int32], b: int) -> None: ...

    def half(a: NDArray[np.int32], b) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001

    with pytest.raises(DeclarationError, match="parameter 'b': <class 'int'> does not declare a tensor"):
        signature_of(wrong)
    with pytest.raises(DeclarationError, match="parameter 'b' has no annotation"):
        signature_of(half)


def test_handlers_of_the_whole_request_have_no_signature() -> None:
    """With and without annotations, as the seed's programs write them."""

    def annotated(request: ModelInferRequest, context: Context) -> None: ...

    assert signature_of(handler("x")) is None
    assert signature_of(annotated) is None


@pytest.mark.parametrize(
    ("declared", "returned", "says"),
    [
        (np.int32, {"y": np.array([2**40])}, "numpy's int64, not all of which fits the declared INT32"),
        (np.uint32, {"y": np.array([-1])}, "numpy's int64, not all of which fits the declared UINT32"),
        (np.int32, {"y": np.array([1.5])}, "numpy's float64, not all of which fits the declared INT32"),
        (np.int8, {"y": [300]}, "does not become INT8"),
        (np.int8, {}, "output 'y' is missing"),
        (np.int8, {"y": [1], "z": [2]}, "output 'z' was not declared"),
        (Annotated[NDArray[np.int8], Shape(2)], {"y": [1]}, r"has shape \[1\], declared is \[2\]"),
    ],
)
def test_what_was_not_declared_is_not_answered(declared: Any, returned: dict[str, Any], says: str) -> None:
    """Nothing wraps around, nothing is cut off, nothing is left out."""
    with pytest.raises(BadOutput, match=says):
        collect(Outputs(y=declared).specs, returned)


def test_one_declared_output_needs_no_name() -> None:
    """And whole numbers that fit are taken from any type."""
    tensor = collect(Outputs(y=np.uint8).specs, np.array([1, 255]))["y"]
    assert isinstance(tensor, Tensor)
    assert (tensor.datatype, tensor.array.tolist()) == ("UINT8", [1, 255])
