"""Makes the stored runs beside this file again: `python -m tests.histories.make`."""

from __future__ import annotations

from pathlib import Path

from tests.histories.cast import KILLED, STEPS, manifest
from tests.histories.tape import at_wall, store
from tests.histories.two_servers import play

HERE = Path(__file__).parent
CUT_OFF = '{"n":99999,"t":17.2,"at":1763'


def make(folder: Path) -> None:
    """Write `passed`, `failed` and `cut_short` into a folder, each a run directory of its own."""
    for name, good in (("passed", True), ("failed", False)):
        tape = play(good=good)
        result = {"status": "pass" if good else "fail"}
        store(folder / name / "discovery.two_servers", manifest(), tape.records, tape.logs, result)
    tape = play(good=True)
    end = next(i for i, r in enumerate(tape.records) if r.step == STEPS[KILLED].id) + 40
    place = folder / "cut_short" / "discovery.two_servers"
    stop = at_wall(tape.records[end].t)
    logs = {name: [line for line in lines if line < stop] for name, lines in tape.logs.items()}
    store(place, manifest(), tape.records[:end], logs, None, cut_off=CUT_OFF)


if __name__ == "__main__":
    make(HERE)
