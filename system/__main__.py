"""`python -m system NAME ...`, also installed as `muster-system`: runs one component."""

import sys

from system.programs import main as run_program

PROGRAMS = {
    "registry": "system.registry.program:PROGRAM",
    "router": "system.router.program:PROGRAM",
    "babysitter": "system.babysitter.program:PROGRAM",
    "worker": "system.worker.program:PROGRAM",
    "gateway": "system.gateway.program:PROGRAM",
    "balancer": "system.balancer.program:PROGRAM",
    "node": "system.node.program:PROGRAM",
}


def main(argv: list[str] | None = None) -> int:
    """Run a component of the system."""
    return run_program("muster-system", "Runs one component of the system.", PROGRAMS, argv)


if __name__ == "__main__":
    sys.exit(main())
