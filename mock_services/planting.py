"""How a defective build is made: a real program, one or two of whose parts are replaced by wrong ones.

Nothing is replaced before the program starts, so importing a defect changes nothing.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from system.component import Program, Serving

Parts = Mapping[tuple[Any, str], object]
"""Where a part is looked up, and what is found there instead."""


def defective(program: Program[Any], about: str | None, parts: Parts) -> Program[Any]:
    """The program with these parts; it takes the same options."""
    return defective_by(program, about, program.config, lambda _: parts)


def defective_by(
    program: Program[Any], about: str | None, config: type[Any], parts_for: Callable[[Any], Parts]
) -> Program[Any]:
    """The same for a defect that has options of its own: `config` adds them, `parts_for` heeds them."""

    @asynccontextmanager
    async def serve(given: Any) -> AsyncIterator[Serving]:
        for (holder, name), part in parts_for(given).items():
            if not hasattr(holder, name):
                msg = f"{holder} has no {name}: this defect is planted nowhere"
                raise AttributeError(msg)
            setattr(holder, name, part)
        async with program.serve(given) as serving:
            yield serving

    first_line = (about or "").partition("\n")[0]
    return Program(name=program.name, about=f"A defective build. {first_line}", config=config, serve=serve)
