"""What can go wrong before a component runs: one line each, saying what happened and what to do.

ComponentError
├── UsageError      the command line, the file or the environment is mistaken   (exit code 2)
└── StartupError    this machine or the network does not allow it now           (exit code 1)
"""


class ComponentError(Exception):
    """A reason, fit to be shown to the person who started the program, without a trace."""

    exit_code = 1


class StartupError(ComponentError):
    """A taken port, a missing file, an unreachable service."""


class UsageError(ComponentError):
    """Mistakes in what the program was told; all of them at once."""

    exit_code = 2

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
