"""What a node finds out about its machine."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from system.balancer.scoring import Specs, impossible
from system.node import hardware
from system.node.config import NodeConfig
from system.node.serving import reached_at, reported


def test_this_machine_can_be() -> None:
    """Whatever it is made of: nothing about it is refused."""
    assert impossible(hardware.specs()) is None


def test_a_frequency_is_found_where_psutil_knows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the processor's own page, else a usual one."""
    monkeypatch.setattr(psutil, "cpu_freq", lambda: None)
    page = tmp_path / "cpuinfo"
    page.write_text("processor\t: 0\ncpu MHz\t\t: 2893.202\n", encoding="utf-8")
    assert hardware.frequency(page) == 2.89
    assert hardware.frequency(tmp_path / "none") == 2.5
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(max=4200.0, current=1200.0))
    assert hardware.frequency(page) == 4.2


def device(folder: Path, name: str, kind: str, maker: str, **files: str) -> None:
    (folder / name).mkdir()
    for file, text in {"class": kind, "vendor": maker, **files}.items():
        (folder / name / file).write_text(text + "\n", encoding="ascii")


def test_cards_are_found_in_the_kernels_table(tmp_path: Path) -> None:
    """Display devices of known makers; a network card is none."""
    device(tmp_path, "0000:00:01.0", "0x020000", "0x8086")
    assert hardware.graphics(tmp_path) == ("", 0.0)
    device(tmp_path, "0000:00:02.0", "0x030000", "0x1002", mem_info_vram_total=str(16 * 1024**3))
    device(tmp_path, "0000:00:03.0", "0x030000", "0x8086")
    assert hardware.graphics(tmp_path) == ("AMD Radeon graphics", 16.0)


class Nvml:
    """NVIDIA's library on a machine with two cards."""

    NVMLError = RuntimeError

    def __init__(self, cards: int) -> None:
        self.cards = cards

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlInit": lambda: None, "nvmlShutdown": lambda: None, "nvmlDeviceGetCount": lambda: self.cards,
            "nvmlDeviceGetHandleByIndex": lambda place: place, "nvmlDeviceGetName": lambda _: "GeForce RTX 3060",
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=12 * 1024**3),
        }  # fmt: skip
        return answers[name]


@pytest.mark.parametrize(
    ("cards", "found"),
    [(1, ("NVIDIA GeForce RTX 3060", 12.0)), (2, ("2 x NVIDIA GeForce RTX 3060", 24.0)), (0, ("", 0.0))],
)
def test_nvidias_cards_are_known_by_its_library(
    cards: int, found: tuple[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their whole name, which decides about the points, and the memory of all of them."""
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(cards))
    assert hardware.graphics(tmp_path) == found


def test_what_is_told_is_reported_instead() -> None:
    """One by one; what is not told is the machine's own."""
    machine = Specs(cpu_cores=4, cpu_frequency_ghz=2, ram_gb=8, gpu_info="x", os_info="Linux")
    told = reported(NodeConfig(cores=64, gpu="NVIDIA H100", gpu_memory=80), machine)
    assert told == Specs(
        cpu_cores=64, cpu_frequency_ghz=2, ram_gb=8, gpu_info="NVIDIA H100", gpu_memory_gb=80, os_info="Linux"
    )


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"advertise": "lab3:6000"}, ("lab3", 6000)),
        ({"advertise": "lab3"}, ("lab3", 50052)),
        ({"host": "10.0.0.7"}, ("10.0.0.7", 50052)),
        ({"server": "localhost:50051"}, ("127.0.0.1", 50052)),
    ],
)
def test_an_address_is_registered_that_the_balancer_can_reach(
    options: dict[str, Any], address: tuple[str, int]
) -> None:
    """The one that was told, the one it listens on, else the one on the way to the balancer."""
    assert reached_at(NodeConfig(**options), 50052) == address
