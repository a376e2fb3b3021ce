"""Reading logs: the end, and the lines around a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reports.logs import FOCUS_SECONDS, LINE_LENGTH, TAIL_LINES, read_logs, stamp_of

MOMENT = 1_763_676_700.0


def written(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "logs" / "server1"
    folder.mkdir(parents=True)
    (folder / "registry.log").write_text(text, encoding="utf-8", errors="surrogateescape")
    return tmp_path


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def test_the_lines_around_a_moment_are_found_in_a_long_log(tmp_path: Path) -> None:
    """Only the lines of the two seconds before and after are kept, with the number of the first."""
    lines = [f"{stamp(MOMENT - 5000 + n / 2)} INFO registry: line {n}\n" for n in range(20_000)]
    (log,) = read_logs(written(tmp_path, "".join(lines)), MOMENT)
    kept = [int(line.rpartition(" ")[2]) for line in log.focus]
    assert kept == list(range(9996, 10_004))
    assert log.focus_line == 9997
    assert kept[0] / 2 - 5000 == -FOCUS_SECONDS


def test_lines_without_a_time_belong_to_the_one_before(tmp_path: Path) -> None:
    """A trace of many lines does not stop the search."""
    text = "".join(f"{stamp(MOMENT + n)} ERROR x: failed\n" + "  trace\n" * 30 for n in range(-100, 100))
    (log,) = read_logs(written(tmp_path, text), MOMENT)
    assert [line for line in log.focus if "ERROR" in line] == [
        f"{stamp(MOMENT + n)} ERROR x: failed" for n in (-2, -1, 0, 1)
    ]


def test_a_log_without_times_has_only_its_end(tmp_path: Path) -> None:
    """Nothing is guessed where lines have no time."""
    (log,) = read_logs(written(tmp_path, "hello\n" * 1000), MOMENT)
    assert (log.focus, log.focus_line, len(log.tail)) == ((), None, TAIL_LINES)


def test_long_lines_colours_and_bad_bytes_are_tamed(tmp_path: Path) -> None:
    """A line is cut, colour codes are dropped, bytes that are no text are replaced."""
    (log,) = read_logs(written(tmp_path, "\x1b[31mred\x1b[0m \udcff\n" + "x" * 5000 + "\n"), None)
    assert log.tail == ("red �", "x" * LINE_LENGTH)


def test_an_empty_log_is_empty(tmp_path: Path) -> None:
    """A service that said nothing has no lines."""
    (log,) = read_logs(written(tmp_path, ""), MOMENT)
    assert (log.size, log.tail, log.focus) == (0, (), ())


@pytest.mark.parametrize(
    ("line", "at"),
    [
        (b"2025-11-20T22:10:03.500Z INFO x", 1_763_676_603.5),
        (b"[2025-11-20 22:10:03,500] x", 1_763_676_603.5),
        (b'{"time":"2025-11-20T23:10:03.5+01:00"}', 1_763_676_603.5),
        (b"1763676603.5 x", 1_763_676_603.5),
        (b"2025-13-45T99:10:03 x", None),
        (b"no time", None),
    ],
)
def test_times_are_read_in_the_usual_forms(line: bytes, at: float | None) -> None:
    """ISO times with and without a zone, in JSON, and seconds since the epoch."""
    assert stamp_of(line) == at
