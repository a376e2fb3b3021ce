"""Progress lines, where they go and what happens when nobody reads them."""

import os

from harness.cli.progress import PatientConsole, Progress


def test_a_reader_who_leaves_does_not_end_the_run() -> None:
    """`muster run ... | head` closes the pipe in the middle: printing goes on, into nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        progress = Progress(PatientConsole(file=pipe))
        progress.title("two servers", "process", "the default")
        progress.title("two servers", "process", "the default")
        pipe.write("and whoever prints otherwise is not surprised either\n")
