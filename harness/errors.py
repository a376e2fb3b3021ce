"""What can go wrong, sorted by whose move it is.

MusterError
├── ScenarioError        the file or the command line is mistaken       exit 4, before anything starts
├── EnvironmentFailure   the machine, engine, disk or network failed    verdict unknown
│   └── NotApplicable    these hosts cannot do what a step asks         verdict not-applicable
├── CheckFailed          the system under test broke a promise          verdict fail
└── HarnessBug           muster itself is wrong: please report it       verdict unknown
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class MusterError(Exception):
    """Every error muster raises on purpose; its text is meant for the user."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file; `line` and `column` count from 1, 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a scenario, topology, kind or inventory file."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ScenarioError(MusterError):
    """The user's files or options are mistaken; holds every problem found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class EnvironmentFailure(MusterError):
    """The machine could not do its part, so nothing is known about the system under test."""


class NotApplicable(EnvironmentFailure):
    """This kind of hosts lacks an ability that a step needs."""


class CheckFailed(MusterError):
    """The system under test broke a promise."""


class HarnessBug(MusterError):
    """A state that muster's own code rules out."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for a near miss, else ` Known: a, b.`; empty when nothing is known."""
    names = sorted(set(known))
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Known: {', '.join(names)}." if names else ""
