"""Points of machines: the formula's check values, and hardware that cannot be."""

import math
from typing import Any

import pytest

from system.balancer.scoring import ImpossibleSpecs, Specs, graphics, performance_score


def specs(cores: int, ghz: float, gib: float, gpu: str, **fields: Any) -> Specs:
    return Specs(cpu_cores=cores, cpu_frequency_ghz=ghz, ram_gb=gib, gpu_info=gpu, **fields)


@pytest.mark.parametrize(
    ("machine", "points"),
    [
        (specs(8, 3.5, 16, "NVIDIA GeForce RTX 3060"), 84.0),
        (specs(16, 4.0, 32, "NVIDIA GeForce RTX 4090"), 100.0),
        (specs(4, 2.5, 8, "Intel UHD"), 41.0),
        (specs(1, 1.0, 0.5, "VMware SVGA II"), 13.2),
    ],
)
def test_check_values_of_the_formula(machine: Specs, points: float) -> None:
    """The documented ones, and a machine without a graphics card of its own."""
    assert performance_score(machine) == points


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("NVIDIA A100-SXM4", 30), ("NVIDIA Tesla V100", 28), ("NVIDIA Quadro P2000", 25), ("NVIDIA RTX A2000", 22),
        ("NVIDIA GTX 1080", 18), ("NVIDIA Tesla T4", 15), ("AMD Radeon RX 6800", 25), ("Radeon RX 580", 20),
        ("AMD Renoir", 15), ("Intel Arc A770", 20), ("Intel Iris Xe", 12), ("Intel HD 620", 8), ("Apple M3 Pro", 28),
        ("Apple M2", 25), ("Apple M1", 22), ("Apple M4", 20), ("", 5),
    ],
)  # fmt: skip
def test_a_card_has_the_points_of_its_family(name: str, points: float) -> None:
    """The first family that fits, and its first row."""
    assert graphics(name) == points


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (specs(0, 3.5, 16, ""), "cpu_cores is 0"),
        (specs(8, math.nan, 16, ""), "cpu_frequency_ghz is nan"),
        (specs(8, 3.5, 10 * 1024, ""), "ram_gb is 10240"),
        (specs(8, 3.5, -1, "", gpu_memory_gb=1e9), "ram_gb is -1.*gpu_memory_gb is 1e"),
    ],
)
def test_hardware_that_cannot_be_is_refused(machine: Specs, says: str) -> None:
    """Naming each value with its limits, rather than scoring it."""
    with pytest.raises(ImpossibleSpecs, match=says):
        performance_score(machine)
