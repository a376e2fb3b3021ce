"""Expressions over tensors, such as `INT32(a * b)` or `sum(x, 0)`: what a result should have been. Pure.

They are Python's, of a few operators and functions, and are computed more exactly than any worker can: whole
numbers without limit, fractions in double precision. A datatype's name rounds to it; around the whole
expression it also says of which datatype the result must be.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from harness.errors import did_you_mean
from harness.tensors import DATATYPES, Array, Tensor, rounded

INDEX = "index"
"""In a stream: which answer it is, from 0."""


class CannotCompute(Exception):
    """The expression has no value for these inputs; the text says why."""


def _float(value: Array) -> Array:
    return value.astype(np.float64)


def _whole(value: Array) -> Array:
    """Truths as numbers; everything else as it is."""
    return value.astype(object) if value.dtype.kind == "b" else value


def _loosely(values: Sequence[Array]) -> list[Array]:
    """All of them as fractions where one is."""
    return [_float(v) for v in values] if any(v.dtype.kind == "f" for v in values) else [*map(_whole, values)]


def _array(value: Any) -> Array:
    """A value as numpy holds it here: truths, float64, or objects that are whole numbers or bytes."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return _float(array)
    return array if array.dtype.kind in "bO" else array.astype(object)


def _power(base: Array, exponent: Array) -> Array:
    if base.dtype.kind == "O" and any(one < 0 for one in exponent.ravel()):
        base, exponent = _float(base), _float(exponent)
    return np.asarray(base**exponent)


_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.MatMult: np.matmul,
    ast.Div: lambda a, b: _float(a) / _float(b),
}
_BITS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SIGNS: Mapping[type[ast.unaryop], Callable[[Array], Any]] = {
    ast.USub: lambda value: -_whole(value),
    ast.UAdd: _whole,
    ast.Invert: operator.invert,
}


def _reduced(function: Callable[..., Any], prepare: Callable[[Array], Array] = _whole) -> Callable[..., Any]:
    """A function of a tensor and, if given, the axis along which it is applied."""
    return lambda value, axis=None: function(prepare(value), axis=None if axis is None else int(axis))


def _joined(*values: Array) -> Array:
    return np.concatenate([np.atleast_1d(value) for value in _loosely(values)])


def _each(function: Callable[[Any], Any]) -> Callable[[Array], Any]:
    found: Callable[[Array], Any] = np.frompyfunc(function, 1, 1)
    return found


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": lambda value: abs(_whole(value)),
    "sqrt": lambda value: np.sqrt(_float(value)),
    "exp": lambda value: np.exp(_float(value)),
    "log": lambda value: np.log(_float(value)),
    "tanh": lambda value: np.tanh(_float(value)),
    "floor": lambda value: np.floor(_float(value)),
    "round": lambda value: np.round(_float(value)),
    "minimum": lambda a, b: np.minimum(*_loosely((a, b))),
    "maximum": lambda a, b: np.maximum(*_loosely((a, b))),
    "where": lambda condition, a, b: np.where(condition.astype(bool), *_loosely((a, b))),
    "sum": _reduced(np.sum),
    "prod": _reduced(np.prod),
    "min": _reduced(np.min),
    "max": _reduced(np.max),
    "mean": _reduced(np.mean, _float),
    "matmul": lambda a, b: np.matmul(*_loosely((a, b))),
    "transpose": np.transpose,
    "reshape": lambda value, *shape: value.reshape([int(length) for length in shape]),
    "concat": _joined,
    "upper": _each(bytes.upper),
    "lower": _each(bytes.lower),
    "reverse": _each(lambda item: item[::-1]),
    "length": _each(len),
}


WHOLE = frozenset({"sum", "prod", "min", "max", "mean", "matmul", "transpose", "reshape", "concat"})
"""Functions of a tensor as a whole rather than of each of its elements."""


def _cast(name: str, value: Array) -> Array:
    kind = DATATYPES[name].dtype.kind
    if kind == "f":
        return rounded(name, _float(value))
    if kind == "b":
        return np.asarray(value.astype(bool))
    if kind == "O" or value.dtype.kind != "f":
        return _whole(value)
    with np.errstate(invalid="ignore"):
        whole = _each(lambda one: int(one) if np.isfinite(one) else one)
        return np.asarray(whole(np.trunc(value)))


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; `datatype` is the one around all of it, or empty."""

    text: str
    body: ast.expr
    names: frozenset[str]
    datatype: str

    @property
    def each(self) -> bool:
        """Whether an element of the result follows from the inputs' elements at the same place."""
        nodes = list(ast.walk(self.body))
        named = {node.id for node in nodes if isinstance(node, ast.Name)}
        return not named & WHOLE and not any(isinstance(node, ast.MatMult) for node in nodes)

    def value(self, inputs: Mapping[str, Tensor], index: int = 0) -> Array:
        """What it is for these inputs; raises CannotCompute."""
        values = {name: _array(tensor.array) for name, tensor in inputs.items()}
        with np.errstate(all="ignore"):
            try:
                return _value(self.body, {INDEX: _array(index), **values})
            except (ArithmeticError, TypeError, ValueError, KeyError, AttributeError) as error:
                what = f"no input {error}" if isinstance(error, KeyError) else str(error)
                msg = f"{self.text} cannot be computed: {what}"
                raise CannotCompute(msg) from None


@cache
def parse_expression(text: str) -> Expression:
    """Raises ValueError for what is no expression of ours."""
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        msg = f"'{text}' is no expression; write it like a * b or FP32(sum(x, 0))"
        raise ValueError(msg) from None
    names: set[str] = set()
    for mistake in _mistakes(body, names):
        msg = f"'{text}': {mistake}"
        raise ValueError(msg)
    cast = body.func.id if isinstance(body, ast.Call) and isinstance(body.func, ast.Name) else ""
    return Expression(text.strip(), body, frozenset(names), cast if cast in DATATYPES else "")


def _check(text: str) -> str:
    parse_expression(text)
    return text


ExpressionText = Annotated[str, AfterValidator(_check)]


def _mistakes(node: ast.expr, names: set[str]) -> Iterator[str]:
    """What is not allowed in it; `names` is filled with the inputs it needs."""
    match node:
        case ast.Name():
            names.add(node.id)
        case ast.Constant(value=bool() | int() | float()):
            pass
        case ast.BinOp() if type(node.op) in _ARITHMETIC or type(node.op) in _BITS:
            yield from _mistakes(node.left, names)
            yield from _mistakes(node.right, names)
        case ast.UnaryOp() if type(node.op) in _SIGNS:
            yield from _mistakes(node.operand, names)
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            yield from _mistakes(node.left, names)
            yield from _mistakes(node.comparators[0], names)
        case ast.Call(func=ast.Name(id=name), keywords=[]):
            if name not in FUNCTIONS and name not in DATATYPES:
                yield f"there is no function {name}.{did_you_mean(name, [*FUNCTIONS, *DATATYPES])}"
            for argument in node.args:
                yield from _mistakes(argument, names)
        case _:
            known = "names, numbers, + - * / // % ** @ & | ^ ~, comparisons and functions"
            yield f"{ast.unparse(node)} is not among {known}"


def _value(node: ast.expr, values: Mapping[str, Array]) -> Array:
    match node:
        case ast.Name():
            return values[node.id]
        case ast.Constant():
            return _array(node.value)
        case ast.BinOp():
            return _array(_combined(node, values))
        case ast.UnaryOp():
            return _array(_SIGNS[type(node.op)](_value(node.operand, values)))
        case ast.Compare():
            sides = _loosely([_value(node.left, values), _value(node.comparators[0], values)])
            return np.asarray(_COMPARISONS[type(node.ops[0])](*sides)).astype(bool)
        case ast.Call(func=ast.Name(id=name)):
            arguments = [_value(argument, values) for argument in node.args]
            return _array(_cast(name, *arguments) if name in DATATYPES else FUNCTIONS[name](*arguments))
    raise AssertionError(node)  # `_mistakes` has refused it


def _combined(node: ast.BinOp, values: Mapping[str, Array]) -> Any:
    sides = [_value(node.left, values), _value(node.right, values)]
    kind = type(node.op)
    return _BITS[kind](*sides) if kind in _BITS else _ARITHMETIC[kind](*_loosely(sides))
