"""How much a machine can carry, from 0 to 100: the formula of the original system, as a pure function.

The score is min(100, processor + memory + graphics), rounded to one decimal:
processor min(20, cores x 1.5) + min(20, GHz x 6), memory min(30, GiB x 1.5), graphics by family.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_CORES, MOST_GHZ, MOST_GIB = 4096, 20.0, 8192.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Specs:
    """A machine's hardware, as it reports it."""

    cpu_cores: int
    """Logical ones."""
    cpu_frequency_ghz: float
    ram_gb: float
    """GiB of memory."""
    gpu_info: str = ""
    gpu_memory_gb: float = 0.0
    """GiB; 0 where there is none of its own."""
    os_info: str = ""


class ImpossibleSpecs(ValueError):
    """Hardware that no machine has; says which."""


Points = Sequence[tuple[Sequence[str], float]]

# The first family that a name belongs to decides, and in it the first of its rows.
FAMILIES: Mapping[Sequence[str], tuple[Points, float]] = {
    ("nvidia",): (
        (
            (("rtx 40", "a100", "h100"), 30),
            (("rtx 30", "v100", "a40"), 28),
            (("rtx 20", "gtx 16", "quadro"), 25),
            (("rtx",), 22),
            (("gtx",), 18),
        ),
        15,
    ),
    ("amd", "radeon"): (((("rx 7", "rx 6"), 25), (("rx 5", "vega"), 20)), 15),
    ("intel",): (((("arc",), 20), (("iris",), 12)), 8),
    ("apple", "m1", "m2", "m3"): (((("m3",), 28), (("m2",), 25), (("m1",), 22)), 20),
}
UNKNOWN_GPU = 5.0


def performance_score(specs: Specs) -> float:
    """Points from 0 to 100; raises ImpossibleSpecs."""
    if what := impossible(specs):
        raise ImpossibleSpecs(what)
    processor = min(20, specs.cpu_cores * 1.5) + min(20, specs.cpu_frequency_ghz * 6)
    memory = min(30, specs.ram_gb * 1.5)
    return round(min(100.0, processor + memory + graphics(specs.gpu_info)), 1)


def graphics(name: str) -> float:
    """The points of a graphics card, by its name."""
    name = name.lower()
    for family, (rows, otherwise) in FAMILIES.items():
        if any(word in name for word in family):
            return next((points for words, points in rows if any(word in name for word in words)), otherwise)
    return UNKNOWN_GPU


def impossible(specs: Specs) -> str | None:
    """What no machine has, in words; None if all of it can be."""
    wrong = [
        f"{name} is {value:g}, and must be {least} to {most:g}"
        for name, value, least, most in (
            ("cpu_cores", specs.cpu_cores, 1, MOST_CORES),
            ("cpu_frequency_ghz", specs.cpu_frequency_ghz, 0.1, MOST_GHZ),
            ("ram_gb", specs.ram_gb, 0, MOST_GIB),
            ("gpu_memory_gb", specs.gpu_memory_gb, 0, MOST_GIB),
        )
        if not math.isfinite(value) or not round(least * 0.999, 6) <= value <= most
    ]
    return "; ".join(wrong) or None
