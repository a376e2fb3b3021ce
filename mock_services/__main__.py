"""`python -m mock_services NAME ...`, also installed as `muster-mock`: runs one mock."""

import sys

from system.programs import main as run_program

PROGRAMS = {
    "openai": "mock_services.openai:PROGRAM",
}


def main(argv: list[str] | None = None) -> int:
    """Run a mock service."""
    return run_program("muster-mock", "Runs one stand-in for a service.", PROGRAMS, argv)


if __name__ == "__main__":
    sys.exit(main())
