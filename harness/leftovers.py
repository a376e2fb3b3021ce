"""What dead runs left on this machine, found by the labels it carries or by a run directory's journals."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from harness import processes, reaper
from harness.containers import MACHINE, RUN_LABEL, Containers, can_tell, machine
from harness.engine_place import NoEngine, engine_place
from harness.errors import EnvironmentFailure
from harness.journal import DEPLOYMENT, NAME, RUN, Journaled, boot, read_journal
from harness.leases import DEPLOYMENTS, is_held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_PATIENCE = 10.0


class Leftovers(NamedTuple):
    """What was found of one deployment: removed, or still there."""

    run: str
    removed: Sequence[str]
    left: Sequence[str]


def of_run(folder: Path) -> list[Journaled]:
    """The deployments journaled in a run directory, or a scenario's; EnvironmentFailure if one is going."""
    paths = sorted([*folder.glob(NAME), *folder.glob(f"*/{NAME}")])
    if not paths:
        msg = f"{folder} holds no journal of a muster run (no {NAME} in it or one level below)"
        raise EnvironmentFailure(msg)
    found = [_read(path) for path in paths]
    for journal in found:
        if is_going(journal):
            msg = f"the run {journal.run} is still going (pid {journal.harness[0]}): end it with Ctrl-C first"
            raise EnvironmentFailure(msg)
    return found


def of_machine() -> list[Journaled]:
    """The deployments of which something is on this machine although no run and no reaper holds them."""
    found: dict[str, Journaled] = {}
    for journal in (*_running(), *_contained()):
        if journal.deployment not in found and not is_held(DEPLOYMENTS, journal.deployment):
            found[journal.deployment] = journal
    return list(found.values())


def _running() -> Iterator[Journaled]:
    own = _namespace("self")
    for stat in processes.everyone():
        deployment = processes.environment_value(stat.pid, DEPLOYMENT.encode()).decode(errors="replace")
        if deployment and _namespace(stat.pid) == own:
            run = processes.environment_value(stat.pid, RUN.encode()).decode(errors="replace")
            yield Journaled(run, deployment, ("process",), boot(), (0, 0), (), clean=False)


def _contained() -> Iterator[Journaled]:
    try:
        engine = engine_place(os.environ)
        if not engine.is_here:
            return  # what another machine's runs own cannot be told from here
        deployments = Containers(engine, "").deployments()
    except (OSError, NoEngine):
        return
    for deployment, labels in deployments.items():
        if can_tell(labels.get(MACHINE, ""), machine()):
            run = labels.get(RUN_LABEL, "")
            yield Journaled(run, deployment, ("docker",), "", (0, 0), (), clean=False, engine=engine)


def remove(deployments: Iterable[Journaled], *, pretend: bool = False) -> list[Leftovers]:
    """Remove what they left, or only look; deployments that left nothing are not listed."""
    results = []
    for journal in deployments:
        removed, left = ([], reaper.look(journal)) if pretend else reaper.reap(journal, _PATIENCE)
        if removed or left:
            results.append(Leftovers(journal.run, removed, left))
    return results


def is_going(journal: Journaled) -> bool:
    """Whether the harness that wrote a journal still lives and has not closed it."""
    return not journal.clean and journal.boot == boot() and processes.is_alive(*journal.harness)


def _read(path: Path) -> Journaled:
    try:
        return read_journal(os.fspath(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"cannot read the journal {path}: {error}"
        raise EnvironmentFailure(msg) from error


def _namespace(pid: int | str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")  # noqa: PTH115
    except OSError:
        return ""
