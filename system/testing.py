"""Real programs in tests: started, awaited by their ready line, stopped by their own pid."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Running:
    """A program that runs, with everything it has written so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        self.process.stdout.close()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for_line(self, pattern: str, within: float = 10.0, *, after: int = 0) -> re.Match[str]:
        """The first line, of those after the given number, that the pattern is found in."""
        deadline = time.monotonic() + within
        seen = after
        while True:
            with self._news:
                while seen < len(self.lines):
                    if match := re.search(pattern, self.lines[seen]):
                        return match
                    seen += 1
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    msg = f"no line matches {pattern!r}; the program wrote:\n{self.output}"
                    raise AssertionError(msg)
                self._news.wait(min(left, 0.1))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within: float = 10.0) -> int:
        """The exit code, with the output complete."""
        code = self.process.wait(within)
        self._reader.join(within)
        return code

    def stop(self, within: float = 10.0) -> int:
        """Stop it as a user would and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(within)


@contextmanager
def running(
    *argv: str, env: dict[str, str] | None = None, ready: str = r"ready on (\S+)"
) -> Iterator[Running]:
    """`python -m system registry --port 0` is `running("system", "registry", "--port", "0")`."""
    process = subprocess.Popen(
        [sys.executable, "-m", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )
    program = Running(process)
    try:
        if ready:
            program.url = program.wait_for_line(ready)[1]
        yield program
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        program.wait()
