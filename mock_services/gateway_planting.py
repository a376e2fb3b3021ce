"""How a gateway is made defective: the bug is planted in each of its processes, programs of their own."""

import sys
from importlib import import_module
from typing import Any

from mock_services.planting import Parts, defective
from system.component import Program
from system.gateway import processes, program


def defective_gateway(module: str, about: str | None, parts: Parts) -> Program[Any]:
    """The gateway with these parts; `module` is the defect's, whose PARTS they are."""
    command = (sys.executable, "-m", __name__, module)
    return defective(program.PROGRAM, about, {**parts, (processes, "COMMAND"): command})


def main(module: str, line: int, listener: int) -> int:
    """One process of a defective gateway."""
    parts: Parts = import_module(module).PARTS
    for (holder, name), part in parts.items():
        setattr(holder, name, part)
    return processes.main(line, listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
