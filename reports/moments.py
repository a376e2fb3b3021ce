"""Times and amounts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def clock(t: float) -> str:
    """Seconds since the run began as `mm:ss.mmm`."""
    millis = round(max(t, 0.0) * 1000)
    return f"{millis // 60_000:02}:{millis // 1000 % 60:02}.{millis % 1000:03}"


def lasted(seconds: float) -> str:
    """A duration in the unit that suits it: `12 ms`, `3.81 s`, `2 min 5 s`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.00995 else f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def wall(at: float) -> str:
    """Seconds since the epoch as a UTC date and time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int) -> str:
    """A number of bytes: `812 B`, `3.4 kB`, `12 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def counted(amount: int, noun: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"
