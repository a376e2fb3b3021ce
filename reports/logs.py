"""Reads of a run's logs what a report shows: the end of each, and the lines around one moment."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

from reports.model import LogReport

if TYPE_CHECKING:
    from pathlib import Path

TAIL_LINES = 200
FOCUS_LINES = 200
FOCUS_SECONDS = 2.0
LINE_LENGTH = 600
"""Characters kept of a line."""

_TAIL_BYTES = 256 * 1024
_FOCUS_BYTES = 256 * 1024
_HEAD = 200
_STAMP = re.compile(
    rb"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    rb"|(?<![\d.])(?P<epoch>1\d{9}\.\d+)"
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def read_logs(directory: Path, moment: float | None) -> tuple[LogReport, ...]:
    """Every log of a scenario's directory; `moment` (wall time) is what to look around."""
    files = sorted((directory / "logs").glob("*/*.log"))
    return tuple(_read(file, file.relative_to(directory).as_posix(), moment) for file in files)


def _read(path: Path, name: str, moment: float | None) -> LogReport:
    log = LogReport(service=path.stem, host=path.parent.name, file=name, size=0, tail=())
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            focus, line = _around(file, size, moment) if moment is not None else ((), None)
            return replace(log, size=size, tail=_tail(file, size), focus=focus, focus_line=line)
    except OSError as error:
        return replace(log, error=f"cannot be read: {error.strerror}")


def _tail(file: BinaryIO, size: int) -> tuple[str, ...]:
    start = max(0, size - _TAIL_BYTES)
    file.seek(start)
    lines = _lines(file.read())
    return lines[1 if start else 0 :][-TAIL_LINES:]


def _around(file: BinaryIO, size: int, moment: float) -> tuple[tuple[str, ...], int | None]:
    """The lines from FOCUS_SECONDS before the moment to as long after it, and the first one's number."""
    start = _first_at(file, size, moment - FOCUS_SECONDS)
    stop = _first_at(file, size, moment + FOCUS_SECONDS)
    if start >= stop:
        return (), None
    file.seek(start)
    lines = _lines(file.read(min(stop - start, _FOCUS_BYTES)))
    return lines[:FOCUS_LINES], _line_number(file, start)


def _first_at(file: BinaryIO, size: int, wanted: float) -> int:
    """Offset of the first line stamped `wanted` or later, by bisection: logs are in order of time."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        offset, stamp = _next_stamp(file, middle)
        if stamp is None or offset >= high or stamp >= wanted:
            high = middle
        else:
            low = offset + 1
    return _line_start(file, low)


def _line_start(file: BinaryIO, offset: int) -> int:
    if offset:
        file.seek(offset - 1)
        file.readline()
    return file.tell() if offset else 0


def _next_stamp(file: BinaryIO, offset: int) -> tuple[int, float | None]:
    """The next line at or after an offset that begins with a time, and that time."""
    at = _line_start(file, offset)
    file.seek(at)
    for _ in range(200):
        line = file.readline(64 * 1024)
        if not line:
            break
        stamp = stamp_of(line)
        if stamp is not None:
            return at, stamp
        at += len(line)
    return at, None


def stamp_of(line: bytes) -> float | None:
    """The wall time in a log line's beginning, None where there is none; a time without a zone is UTC."""
    match = _STAMP.search(line[:_HEAD])
    if match is None:
        return None
    if match["epoch"]:
        return float(match["epoch"])
    text = match["iso"].decode().replace(",", ".").replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else datetime.fromisoformat(f"{text}+00:00")).timestamp()


def _line_number(file: BinaryIO, offset: int) -> int:
    file.seek(0)
    number, left = 1, offset
    while left > 0 and (chunk := file.read(min(left, 1024 * 1024))):
        number += chunk.count(b"\n")
        left -= len(chunk)
    return number


def _lines(raw: bytes) -> tuple[str, ...]:
    text = _ANSI.sub("", raw.decode("utf-8", errors="replace"))
    lines = text.replace("\r", "").removesuffix("\n").split("\n") if text else []
    return tuple(line[:LINE_LENGTH] for line in lines)
