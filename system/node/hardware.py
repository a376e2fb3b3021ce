"""What this machine is made of, by psutil and NVIDIA's own library."""

import contextlib
import platform
from collections.abc import Iterator
from pathlib import Path

from system.balancer.scoring import Specs

GIB = 1024**3
USUAL_GHZ = 2.5  # where neither the kernel nor the processor's own page tells


def specs() -> Specs:
    """This machine's specs. What cannot be found out is left at its usual or empty value."""
    import psutil

    gpu, gpu_memory = graphics()
    return Specs(
        cpu_cores=psutil.cpu_count(logical=True) or 1,
        cpu_frequency_ghz=frequency(),
        ram_gb=round(psutil.virtual_memory().total / GIB, 1),
        gpu_info=gpu,
        gpu_memory_gb=gpu_memory,
        os_info=f"{platform.system()} {platform.release()}",
    )


def frequency(cpuinfo: Path = Path("/proc/cpuinfo")) -> float:
    """The processor's highest frequency, else the current one, in GHz."""
    import psutil

    with contextlib.suppress(OSError, NotImplementedError, AttributeError):
        found = psutil.cpu_freq()
        if found and (found.max or found.current):
            return round((found.max or found.current) / 1000, 2)
    with contextlib.suppress(OSError, ValueError):
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("cpu MHz"):
                return round(float(line.partition(":")[2]) / 1000, 2)
    return USUAL_GHZ


def graphics(pci: Path = Path("/sys/bus/pci/devices")) -> tuple[str, float]:
    """The graphics card's name and its memory in GiB: NVIDIA's by its library, others by their maker."""
    return _nvidia() or _apple() or next(_by_maker(pci), ("", 0.0))


def _nvidia() -> tuple[str, float] | None:
    import pynvml  # type: ignore[import-untyped] # it has none

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None  # no such card, or no driver
    try:
        cards = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]
        if not cards:
            return None
        name = str(pynvml.nvmlDeviceGetName(cards[0]))
        memory = sum(int(pynvml.nvmlDeviceGetMemoryInfo(card).total) for card in cards)
        shown = name if name.lower().startswith("nvidia") else f"NVIDIA {name}"
        return (shown if len(cards) == 1 else f"{len(cards)} x {shown}"), round(memory / GIB, 1)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _apple() -> tuple[str, float] | None:
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return None
    import subprocess

    found = subprocess.run(
        ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "Apple Silicon", 0.0


MAKERS = {"0x10de": "NVIDIA graphics", "0x1002": "AMD Radeon graphics", "0x8086": "Intel graphics"}
DISPLAY_CLASS = "0x03"


def _by_maker(pci: Path) -> Iterator[tuple[str, float]]:
    """Display devices of the kernel's own table."""
    for device in sorted(pci.glob("*")):
        with contextlib.suppress(OSError, ValueError):
            if (device / "class").read_text(encoding="ascii").startswith(DISPLAY_CLASS):
                maker = MAKERS.get((device / "vendor").read_text(encoding="ascii").strip())
                if maker:
                    yield maker, _memory(device)


def _memory(device: Path) -> float:
    """AMD's driver tells how much memory a card has."""
    try:
        return round(int((device / "mem_info_vram_total").read_text(encoding="ascii")) / GIB, 1)
    except (OSError, ValueError):
        return 0.0
