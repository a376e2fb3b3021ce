"""Expressions over tensors: exact where numbers are whole, and nothing that is not an expression."""

from typing import Any

import numpy as np
import pytest

from harness.expressions import CannotCompute, parse_expression
from harness.tensors import Tensor

INPUTS = {
    "a": Tensor("INT32", np.array([2, 3, -4], np.int32)),
    "b": Tensor("INT64", np.array([10, 2**62, -(2**62)], np.int64)),
    "x": Tensor("FP32", np.array([0.5, 2.0, 3.0], np.float32)),
    "m": Tensor("UINT8", np.arange(6, dtype=np.uint8).reshape(2, 3)),
    "p": Tensor("BOOL", np.array([True, False, True])),
    "t": Tensor("BYTES", np.array([b"ab", b"C"], object)),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b", [12, 2**62 + 3, -(2**62) - 4]),
        ("b * b", [100, 2**124, 2**124]),
        ("a ** 3 - 1", [7, 26, -65]),
        ("2 ** a", [4.0, 8.0, 2**-4]),
        ("a // 3", [0, 1, -2]),
        ("a / 2", [1.0, 1.5, -2.0]),
        ("x * a", [1.0, 6.0, -12.0]),
        ("a / 0", [np.inf, np.inf, -np.inf]),
        ("-a", [-2, -3, 4]),
        ("p + p", [2, 0, 2]),
        ("~p | (a > 2)", [False, True, False]),
        ("p & True", [True, False, True]),
        ("a @ a", 29),
        ("m @ transpose(m)", [[5, 14], [14, 50]]),
        ("sum(m)", 15),
        ("sum(m, 0)", [3, 5, 7]),
        ("mean(m, 1)", [1.0, 4.0]),
        ("max(m) - min(m) + prod(a)", -19),
        ("reshape(m, 3, 2)", [[0, 1], [2, 3], [4, 5]]),
        ("concat(a, x)", [2.0, 3.0, -4.0, 0.5, 2.0, 3.0]),
        ("where(p, a, x)", [2.0, 2.0, -4.0]),
        ("minimum(a, 2.5)", [2.0, 2.5, -4.0]),
        ("abs(a) + floor(x) + round(x)", [2.0, 7.0, 10.0]),
        ("sqrt(x * x)", [0.5, 2.0, 3.0]),
        ("log(exp(x - x)) + tanh(0 * x)", [0.0, 0.0, 0.0]),
        ("upper(t) + lower(t)", [b"ABab", b"Cc"]),
        ("reverse(t)", [b"ba", b"C"]),
        ("length(t)", [2, 1]),
        ("INT8(x * 1.9)", [0, 3, 5]),
        ("BOOL(a - 2)", [False, True, True]),
        ("FP16(1 / 3)", float(np.float16(1 / 3))),
        ("BF16(x / 3)", [0.166992188, 0.66796875, 1.0]),
        ("a + index", [3, 4, -3]),
    ],
)
def test_an_expression_has_its_value(text: str, value: Any) -> None:
    """Whole numbers without limit, fractions in double precision, truths, bytes."""
    found = parse_expression(text).value(INPUTS, 1).tolist()
    assert found == (pytest.approx(value) if "BF16" in text else value)


def test_whole_numbers_stay_whole() -> None:
    """No operation on them goes by way of fractions unless it is a division."""
    found = parse_expression("b * b + 1").value(INPUTS).tolist()
    assert all(type(one) is int for one in found)
    assert found[1] == 2**124 + 1


@pytest.mark.parametrize("text", ["x * a", "a / 2", "2 ** a", "a // 0.0", "where(p, a, x)", "0 ** a"])
def test_with_a_fraction_all_is_fractions(text: str) -> None:
    """In double precision, where a division by zero is infinite rather than an error."""
    assert parse_expression(text).value(INPUTS).dtype == np.float64


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a // 0", "integer division or modulo by zero"),
        ("y + 1", "no input 'y'"),
        ("sum(a, 5)", "axis 5 is out of bounds"),
        ("a + reshape(m, 3, 2)", "broadcast"),
        ("upper(a)", "upper"),
        ("sqrt()", "sqrt"),
        ("max(reshape(a, 7))", "reshape"),
    ],
)
def test_what_has_no_value_is_told(text: str, says: str) -> None:
    """With the expression, and why."""
    with pytest.raises(CannotCompute, match=says) as caught:
        parse_expression(text).value(INPUTS)
    assert text in str(caught.value) or "()" in text


@pytest.mark.parametrize(
    "text",
    [
        *("", "(", "x := 1", "a\nb", "'x'", "a == 1j", "lambda: 1", "[a]"),
        *("a.b", "a[0]", "f(a)(b)", "sum(a, axis=0)", "sum(*a)", "__import__('os')"),
        *("a if b else c", "a < b < c", "a and b", "not a"),
    ],
)
def test_nothing_else_is_an_expression(text: str) -> None:
    """No attributes, no subscripts, no text, nothing of Python that could do anything."""
    with pytest.raises(ValueError, match=r"is no expression|not among|no function"):
        parse_expression(text)


def test_a_function_that_is_misspelt_gets_a_suggestion() -> None:
    """The nearest name."""
    with pytest.raises(ValueError, match=r"no function sqr\. Did you mean 'sqrt'"):
        parse_expression("sqr(a)")


def test_the_outermost_datatype_is_the_results() -> None:
    """Inner ones only round."""
    assert parse_expression("FP32(FP16(x) + 1)").datatype == "FP32"
    assert parse_expression("FP32(x) + 1").datatype == ""
    assert parse_expression("sum(x)").datatype == ""


def test_whether_elements_follow_from_elements() -> None:
    """What a message may show beside a wrong element."""
    assert parse_expression("INT32(a * b) + abs(a)").each
    assert not parse_expression("a @ b").each
    assert not parse_expression("transpose(m) + 1").each
