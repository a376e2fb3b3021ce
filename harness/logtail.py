"""The end of a service's log, for messages that say why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 64 * 1024


def last_lines(log: Path | None, start: int = 0, count: int = 12) -> tuple[str, ...]:
    """The last `count` lines a log holds from byte `start` on; none when there is no log."""
    if log is None:
        return ()
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - _LONGEST))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(line for line in text.splitlines() if line.strip())[-count:]


def in_words(lines: tuple[str, ...]) -> str:
    """`; last lines: ...` for the end of a message."""
    if not lines:
        return "; it logged nothing"
    return "; last lines:\n" + "\n".join(f"    {line}" for line in lines)
