"""`python -m mock_services NAME ...`, also installed as `muster-mock`: runs one mock."""

import sys

from system.programs import main as run_program

PROGRAMS = {
    "anthropic": "mock_services.anthropic:PROGRAM",
    "balancer": "mock_services.balancer:PROGRAM",
    "braggart": "mock_services.braggart:PROGRAM",
    "openai": "mock_services.openai:PROGRAM",
    "replica": "mock_services.replica:PROGRAM",
}


def main(argv: list[str] | None = None) -> int:
    """Run a mock service, or with `defect` a component of the system with a bug planted in it."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["defect"]:
        from mock_services.defects import DEFECTS

        return run_program("muster-mock defect", "Runs a component that has one bug.", DEFECTS, words[1:])
    about = "Runs one stand-in for a service; `muster-mock defect NAME` a component that has one bug."
    return run_program("muster-mock", about, PROGRAMS, words)


if __name__ == "__main__":
    sys.exit(main())
