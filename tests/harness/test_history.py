"""The history, where the disk has no room for it."""

from pathlib import Path

from harness.events import Note
from harness.history import History, read_history
from harness.testing import FakeClock


def test_a_history_that_cannot_be_written_says_so_and_goes_on(tmp_path: Path) -> None:
    """Whoever takes the run down still records and hears; `lost` says why the file ends early."""
    history = History(FakeClock(), Path("/dev/full"))
    heard: list[str] = []
    history.listen(lambda record: heard.append(str(record.event)))
    for text in ("one", "two"):
        history.append(Note(text=text))
    history.close()
    assert history.lost == (
        "cannot write the history (/dev/full): No space left on device; free some space and run again"
    )
    assert len(heard) == len(history.records) == 2


def test_a_history_that_is_written_is_not_lost(tmp_path: Path) -> None:
    """The same, where there is room."""
    history = History(FakeClock(), tmp_path / "history.jsonl")
    history.append(Note(text="one"))
    history.close()
    assert history.lost == ""
    assert len(read_history(tmp_path / "history.jsonl")) == 1
