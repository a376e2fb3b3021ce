"""Random input tensors from a few words, the same for ever: `INT32[n, 4] -100..100`. Pure.

A recipe is a datatype, a shape and a range. A letter in the shape is a length that is drawn anew for each
request, and is the same wherever it stands: `FP32[n, k]` and `FP32[k, m]` can be multiplied. What is drawn
follows from a seed, the request's number and the tensor's name alone, by way of a hash: neither a version of
numpy nor the order of requests changes it, so a history need not hold the inputs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, WithJsonSchema

from harness.tensors import DATATYPES, Array, Tensor, TensorError, datatype, rounded, texts

_NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_RECIPE = re.compile(rf"\s*(\w+)\s*(?:\[([^\]]*)\])?\s*(?:({_NUMBER})\.\.({_NUMBER}))?\s*")
_SIZES = re.compile(r"\s*([0-9]+)\.\.([0-9]+)\s*")
_LENGTH = re.compile(r"[0-9]+|[a-z]")
USUAL_SIZE = (1, 16)
"""From and to which length a letter is drawn, unless stated."""
MOST_ELEMENTS = 2**26
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _", np.uint8)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an input is made from; of BYTES the range is that of the elements' lengths."""

    datatype: str
    shape: tuple[int | str, ...]
    low: int | float
    high: int | float


@cache
def parse_recipe(text: str) -> Recipe:
    """`INT32`, `FP32[n, 4]`, `BYTES[3] 0..20`; raises ValueError."""
    match = _RECIPE.fullmatch(text)
    if match is None:
        msg = f"'{text}' is no tensor; write it like INT32[n] -100..100: a datatype, a shape, a range"
        raise ValueError(msg)
    try:
        name = datatype(match[1]).name
    except TensorError as error:
        raise ValueError(str(error)) from None
    low, high = _range(name, text, match[3], match[4])
    return Recipe(name, _shape(match[2], text), low, high)


def _shape(lengths: str | None, text: str) -> tuple[int | str, ...]:
    words = [word.strip() for word in ("n" if lengths is None else lengths).split(",") if word.strip()]
    for word in words:
        if not _LENGTH.fullmatch(word):
            msg = f"'{text}': '{word}' is no length; a length is a number, or a letter for one that varies"
            raise ValueError(msg)
    return tuple(int(word) if word.isdecimal() else word for word in words)


def _range(name: str, text: str, low: str | None, high: str | None) -> tuple[int | float, int | float]:
    dtype = DATATYPES[name].dtype
    if low is None or high is None:
        return {"b": (0, 1), "u": (0, 100), "O": (0, 16)}.get(dtype.kind, (-100, 100))
    whole = dtype.kind != "f" and low.lstrip("+-").isdecimal() and high.lstrip("+-").isdecimal()
    bounds = [int(word) if whole else float(word) for word in (low, high)]
    most = {"b": (0, 1), "O": (0, 4096)}.get(dtype.kind)
    if dtype.kind in "iu":
        most = (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if bounds[0] > bounds[1] or (most and not most[0] <= bounds[0] <= bounds[1] <= most[1]):
        limits = f" within {most[0]}..{most[1]}" if most else ""
        msg = f"'{text}': a range of {name} goes up{limits}"
        raise ValueError(msg)
    return bounds[0], bounds[1]


@cache
def parse_sizes(text: str) -> tuple[int, int]:
    """`1..64`; raises ValueError."""
    match = _SIZES.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        msg = f"'{text}' is no range of lengths; write it like 1..64"
        raise ValueError(msg)
    return int(match[1]), int(match[2])


def parse_letter(text: str) -> str:
    """`n`; raises ValueError."""
    if not re.fullmatch("[a-z]", text):
        msg = f"'{text}' is no length that varies; those are small letters, such as n"
        raise ValueError(msg)
    return text


def _fits(parse: Any) -> Any:
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


RecipeText = Annotated[
    str,
    _fits(parse_recipe),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^\s*({'|'.join(DATATYPES)})\s*(\[[^\]]*\])?\s*({_NUMBER}\.\.{_NUMBER})?\s*$",
            "examples": ["INT32[n] -100..100"],
        }
    ),
]
Letter = Annotated[str, _fits(parse_letter)]
SizesText = Annotated[
    str,
    _fits(parse_sizes),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+\.\.[0-9]+\s*$", "examples": ["1..64"]}),
]


def made(recipes: Mapping[str, str], sizes: Mapping[str, str], seed: int, number: int) -> dict[str, Tensor]:
    """The inputs of a request; raises TensorError for one that nobody could hold."""
    parsed = {name: parse_recipe(text) for name, text in recipes.items()}
    letters = {letter for recipe in parsed.values() for letter in recipe.shape if isinstance(letter, str)}
    lengths = {letter: _length(letter, sizes, seed, number) for letter in sorted(letters)}
    return {name: _made(name, recipe, lengths, f"{seed}/{number}/{name}") for name, recipe in parsed.items()}


def unused(recipes: Iterable[str], sizes: Iterable[str]) -> list[str]:
    """The letters with a range of lengths that no recipe has."""
    used = {length for text in recipes for length in parse_recipe(text).shape}
    return [letter for letter in sizes if letter not in used]


def _length(letter: str, sizes: Mapping[str, str], seed: int, number: int) -> int:
    low, high = parse_sizes(sizes[letter]) if letter in sizes else USUAL_SIZE
    return low + int(_drawn(f"{seed}/{number}//{letter}", 1)[0] % np.uint64(high - low + 1))


def _made(name: str, recipe: Recipe, lengths: Mapping[str, int], salt: str) -> Tensor:
    shape = tuple(length if isinstance(length, int) else lengths[length] for length in recipe.shape)
    count = prod(shape)
    if count > MOST_ELEMENTS:
        msg = f"input {name} of shape {list(shape)} has more than {MOST_ELEMENTS} elements"
        raise TensorError(msg)
    flat = _values(recipe, salt, count)
    return Tensor(recipe.datatype, flat.reshape(shape))


def _values(recipe: Recipe, salt: str, count: int) -> Array:
    dtype, drawn = DATATYPES[recipe.datatype].dtype, _drawn(salt, count)
    if dtype.kind == "f":
        share = (drawn >> np.uint64(11)) * 2.0**-53
        return rounded(recipe.datatype, recipe.low + share * (recipe.high - recipe.low)).astype(dtype)
    span = int(recipe.high) - int(recipe.low) + 1
    steps = drawn if span >= 2**64 else drawn % np.uint64(span)
    if dtype.kind == "O":
        return texts(_words([int(recipe.low) + int(step) for step in steps], salt))
    # modulo 2**64 on purpose: a low below zero is added as its two's complement
    return (steps + np.uint64(int(recipe.low) % 2**64)).astype(dtype)


def _words(lengths: list[int], salt: str) -> list[bytes]:
    letters = _LETTERS[_drawn(f"{salt}/", sum(lengths)) % np.uint64(len(_LETTERS))].tobytes()
    ends = np.cumsum(lengths).tolist()
    return [letters[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _drawn(salt: str, count: int) -> Array:
    """Numbers of 64 bits, all equally likely."""
    return np.frombuffer(hashlib.shake_128(salt.encode()).digest(8 * count), "<u8")
