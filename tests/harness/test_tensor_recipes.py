"""Recipes of input tensors: what they say, and that they say the same for ever."""

import numpy as np
import pytest

from harness.tensor_recipes import Recipe, made, parse_recipe, parse_sizes, unused
from harness.tensors import DATATYPES, TensorError, digest_of


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("INT32", Recipe("INT32", ("n",), -100, 100)),
        ("UINT8[4]", Recipe("UINT8", (4,), 0, 100)),
        ("FP32[n, 4] -1..1", Recipe("FP32", ("n", 4), -1.0, 1.0)),
        ("FP64[] 0.5..1e3", Recipe("FP64", (), 0.5, 1000.0)),
        ("BYTES [ 2,k ] 1..5", Recipe("BYTES", (2, "k"), 1, 5)),
    ],
)
def test_a_recipe_is_read(text: str, recipe: Recipe) -> None:
    """Datatype, shape and range; the last two have defaults."""
    assert parse_recipe(text) == recipe


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int32", "no datatype 'int32'"),
        ("INT32[nn]", "'nn' is no length"),
        ("INT32[-1]", "'-1' is no length"),
        ("INT8 0..300", "within -128..127"),
        ("UINT8 -1..1", "within 0..255"),
        ("FP32 2..1", "goes up"),
        ("INT32 5", "is no tensor"),
        ("BYTES[2] -1..4", "within 0..4096"),
    ],
)
def test_a_mistaken_recipe_is_told(text: str, says: str) -> None:
    """With what is wrong and what may be written."""
    with pytest.raises(ValueError, match=says):
        parse_recipe(text)


@pytest.mark.parametrize("text", ["1", "3..2", "a..b"])
def test_mistaken_sizes_are_told(text: str) -> None:
    """A range of lengths goes up."""
    with pytest.raises(ValueError, match="no range of lengths"):
        parse_sizes(text)


@pytest.mark.parametrize("name", DATATYPES)
def test_the_same_seed_and_number_make_the_same_inputs(name: str) -> None:
    """And another number, name or seed others."""
    recipes = {"a": f"{name}[50]", "b": f"{name}[50]"}
    first = made(recipes, {}, 7, 3)
    assert digest_of(made(recipes, {}, 7, 3)["a"]) == digest_of(first["a"])
    others = [first["b"], made(recipes, {}, 7, 4)["a"], made(recipes, {}, 8, 3)["a"]]
    assert digest_of(first["a"]) not in [digest_of(other) for other in others]


def test_inputs_are_those_of_older_histories() -> None:
    """A change here would make stored histories wrong: it needs a new format."""
    inputs = made({"a": "INT32[4]", "x": "FP32[2] -1..1", "t": "BYTES[2] 3..3", "p": "BOOL[n]"}, {}, 1, 1)
    assert {name: tensor.array.tolist() for name, tensor in inputs.items()} == {
        "a": [-30, -40, 26, -60],
        "x": [0.9141204357147217, -0.7803896069526672],
        "t": [b"15T", b"o 5"],
        "p": [False, False, True, True, False, True],
    }


def test_a_letter_is_the_same_length_wherever_it_stands() -> None:
    """Matrices that can be multiplied, of changing shapes within the stated sizes."""
    recipes = {"a": "FP64[n, k]", "b": "FP64[k, m]"}
    shapes = set()
    for number in range(50):
        inputs = made(recipes, {"k": "2..3"}, 1, number)
        assert (inputs["a"].array @ inputs["b"].array).shape[0] == inputs["a"].array.shape[0]
        shapes.add(inputs["a"].array.shape)
    assert {k for _, k in shapes} == {2, 3}
    assert len(shapes) > 10


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("INT8[2000] -128..127", -128, 127),
        ("UINT64[2000] 18446744073709551600..18446744073709551615", 2**64 - 16, 2**64 - 1),
        ("INT64[2000] -9223372036854775808..-9223372036854775800", -(2**63), -(2**63) + 8),
    ],
)
def test_whole_numbers_fill_their_range(text: str, low: int, high: int) -> None:
    """Both ends are reached, and nothing lies beyond."""
    values = made({"x": text}, {}, 1, 1)["x"].array.tolist()
    assert (min(values), max(values)) == (low, high)


def test_fractions_and_texts_lie_in_their_range() -> None:
    """Values of fractions, lengths of texts."""
    x = made({"x": "FP16[500] 1..2"}, {}, 1, 1)["x"].array
    assert x.dtype == np.float16
    assert (x >= 1).all()
    assert (x <= 2).all()
    lengths = {len(item) for item in made({"t": "BYTES[200] 2..4"}, {}, 1, 1)["t"].array}
    assert lengths == {2, 3, 4}


def test_nobody_is_asked_to_hold_too_much() -> None:
    """A shape beyond a quarter of a gigabyte of FP32 is refused."""
    with pytest.raises(TensorError, match="more than"):
        made({"x": "INT8[100000, 100000]"}, {}, 1, 1)


def test_sizes_that_no_input_has_are_found() -> None:
    """A letter that is nowhere is a mistake."""
    assert unused(["FP32[n, 4]"], ["n", "k"]) == ["k"]
